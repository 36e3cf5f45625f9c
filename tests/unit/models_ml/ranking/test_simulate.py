"""Towns, what people do there, and what serving them comes to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from models_ml.ranking import frames
from models_ml.ranking.baselines import BASELINES
from models_ml.ranking.ranker import Ranker
from models_ml.ranking.simulate import __main__ as command
from models_ml.ranking.simulate.behaviour import PAGE, look, timetable
from models_ml.ranking.simulate.figures import WITHIN, figures, gini
from models_ml.ranking.simulate.life import Impression, Log, live
from models_ml.ranking.simulate.rivals import Kept, Oracle, Ours
from models_ml.ranking.simulate.town import DAY, START, Plan, Town

SMALL = Plan(people=30, posts=700, sessions=8, changed=0.3, uploads=0.03, new_creators=0.6)


pytestmark = pytest.mark.xdist_group("town")
"""In one process: the town below is served but once."""


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(3, SMALL)


@pytest.fixture(scope="module")
def served(town: Town) -> dict[str, Log]:
    """The town as it fares with each of these."""
    return {
        "ours": live(town, Ours(command.shipped())),
        "popular": live(town, Kept(BASELINES["popular"]())),
        "random": live(town, Kept(BASELINES["random"]())),
        "oracle": live(town, Oracle(town)),
    }


def test_a_seed_makes_one_town_and_another_seed_another(town: Town) -> None:
    again, other = Town(3, SMALL), Town(4, SMALL)
    assert (town.points == again.points).all() and (town.tastes == again.tastes).all()
    pd.testing.assert_frame_equal(town.items, again.items)
    assert town.items.title.tolist() != other.items.title.tolist()


def test_the_same_town_served_in_the_same_way_lives_the_same_life(town: Town, served: dict[str, Log]) -> None:
    assert live(town, Kept(BASELINES["popular"]())).events == served["popular"].events


def test_words_tell_the_topic_of_a_post(town: Town) -> None:
    tagged = town.items[town.items.tags.str.len() > 0]
    assert [tags[0] for tags in tagged.tags] == town.names[town.topic[tagged.item_id]].tolist()
    assert 0.5 < len(tagged) / len(town.items) < 0.9, "some have no tag"


def test_the_few_come_often_and_newcomers_not_before_they_joined(town: Town) -> None:
    times, people, _ = timetable(town)
    assert (np.diff(times) >= 0).all()
    assert (times >= town.joined[people]).all()
    counts = np.sort(np.bincount(people, minlength=SMALL.people))[::-1]
    assert counts[: SMALL.people // 4].sum() > counts.sum() / 2


def test_what_pleases_is_watched_for_longer_liked_more_and_hated_less(town: Town) -> None:
    chance, posts = np.random.default_rng(0), np.arange(SMALL.posts)
    pleasure = town.pleasure(0, posts, 0)
    best, worst = posts[np.argsort(-pleasure)[:20]], posts[np.argsort(pleasure)[:20]]
    seen = {name: [look(town, 0, some[:1], 0, np.inf, chance) for some in np.repeat(part, 20)[:, None]]
            for name, part in (("best", best), ("worst", worst))}  # fmt: skip
    share, likes, hates = (
        {name: np.mean([getattr(each, act)[0] for each in every]) for name, every in seen.items()}
        for act in ("share", "like", "hate")
    )
    assert share["best"] > share["worst"] + 0.2
    assert likes["best"] > likes["worst"] and hates["best"] < hates["worst"]


def test_the_further_down_a_post_stands_the_fewer_see_it(served: dict[str, Log]) -> None:
    seen = served["random"].frame()
    by_place = np.bincount(seen.place[seen.place >= 0], minlength=PAGE)
    assert (np.diff(by_place) < 0).all() and by_place[-1] > 0


def test_tastes_wander_and_those_who_change_want_something_else_overnight(town: Town) -> None:
    stays = int(np.flatnonzero(~town.changed)[0])
    early, late = town.tastes[0, stays, 0], town.tastes[3, stays, 0]
    assert 0 < 1 - early @ late < 0.5
    for person in np.flatnonzero(town.changed).tolist():
        before, after = (town.topics_of(person, SMALL.change_days[0] + late) for late in (-1, 0))
        assert len(after) == 1 and not set(after) & set(before)


def test_nobody_is_shown_what_they_have_seen_or_what_is_not_posted_yet(town: Town, served: dict[str, Log]) -> None:
    for log in served.values():
        shown = log.frame()[log.frame().place >= 0]
        assert not shown.duplicated(["person", "post"]).any()
        assert (town.born[shown.post] <= shown.time).all()


def test_who_knows_all_pleases_most_and_chance_least(town: Town, served: dict[str, Log]) -> None:
    pleasure = {name: figures(town, log)["pleasure"] for name, log in served.items()}
    assert pleasure["oracle"] > pleasure["ours"] > 1.1 * max(pleasure["popular"], pleasure["random"])


def test_popularity_collapses_onto_a_few_posts_and_ours_does_not(town: Town, served: dict[str, Log]) -> None:
    ours, popular = figures(town, served["ours"]), figures(town, served["popular"])
    assert popular["coverage"] < ours["coverage"]
    assert popular["gini"] > ours["gini"]


def test_who_knows_all_follows_a_change_at_once_ours_soon_and_popularity_never(served: dict[str, Log]) -> None:
    followed = {name: np.median(log.followed) for name, log in served.items()}
    assert followed["oracle"] < 5 < 20 < followed["popular"]
    assert followed["ours"] <= WITHIN


def test_a_figure_is_what_it_says_of_a_life_told_by_hand() -> None:
    town = Town(1, Plan(people=4, posts=100, sessions=2))
    made = [
        Impression(START + 1.5 * DAY + at, 1, 0, post, session, page, place, pleasure, 0.5)
        for at, (post, session, page, place, pleasure) in enumerate(
            [(0, 0, 1, 0, 0.2), (1, 0, 1, 1, 0.4), (0, 1, 2, 0, 0.6), (2, 1, 2, -1, 1.0)]
        )
    ]
    found = figures(town, Log(made, [], [4, 12], 2))
    assert found["pleasure"] == pytest.approx(0.4), "what people find themselves does not count"
    assert found["session"] == pytest.approx(0.6) and found["videos"] == 1.5
    assert found["coverage"] == pytest.approx(3 / len(town.born))
    assert found["followed"] == 8 and found["within"] == 0.5
    assert found["distance"] == pytest.approx(1 - town.points[0] @ town.points[1])


@pytest.mark.parametrize(("counts", "expected"), [([3, 3, 3], 0.0), ([0, 0, 0, 8], 0.75)])
def test_gini_is_nothing_for_equals_and_near_one_where_one_has_all(counts: Sequence[int], expected: float) -> None:
    assert gini(np.array(counts)) == pytest.approx(expected)


class Silent(Oracle):
    """Has nothing to offer."""

    def recommend(
        self, user_ids: Sequence[object], k: int, exclude_seen: bool = True, now: object = None
    ) -> npt.NDArray[np.object_]:
        return np.full((len(user_ids), k), None, dtype=object)


def test_a_recommender_without_anything_to_show_ends_sessions_and_not_the_town() -> None:
    town = Town(1, Plan(people=5, posts=20, sessions=2, changed=0.0))
    assert live(town, Silent(town)).events == []


def test_new_posts_of_new_creators_are_seen_by_more_than_popularity_would_let(
    town: Town, served: dict[str, Log]
) -> None:
    debuts = np.flatnonzero(town.debut & (town.born + 3 * DAY <= town.end))
    assert len(debuts) >= 2
    seen = {name: np.bincount(log.frame().post, minlength=len(town.born))[debuts] for name, log in served.items()}
    assert seen["ours"].mean() > 1.5 * seen["popular"].mean()


def test_a_newcomer_who_chose_topics_begins_with_them(town: Town) -> None:
    ours = Ours(Ranker())
    ours.fit(pd.DataFrame({frames.USER: [0], frames.ITEM: [0], frames.TIME: [START]}), town.items[: SMALL.posts])
    topic = int(np.bincount(town.topic[: SMALL.posts]).argmax())
    ours.welcome("new", [str(town.names[topic])])
    page = ours.recommend(["new"], 10, True, START)[0].astype(int)
    assert (town.topic[page] == topic).sum() >= 3


def test_the_command_prints_a_table_and_what_is_reached(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--people", "12", "--posts", "200", "--sessions", "4", "--seeds", "2", "--models", "popular", "PopOff"]
    command.main(arguments)
    printed = capsys.readouterr().out
    assert "pleasure over that of popular" in printed and "who knows all" not in printed
    verdicts = [line for line in printed.splitlines() if line.endswith(("reached", "MISSED"))]
    assert len(verdicts) == 5


def test_a_few_towns_have_the_interval_of_student() -> None:
    mean, half = command.mean_of([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.303 / np.sqrt(3), rel=1e-3)
    assert np.isnan(command.mean_of([1.0])[1]) and command.mean_of([float("nan"), 2.0])[0] == 2
