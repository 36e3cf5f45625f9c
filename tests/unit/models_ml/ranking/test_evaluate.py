"""What is asked of models, what counts as found, and the command that prints it."""

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking import evaluate, protocols
from models_ml.ranking.data import Split
from models_ml.ranking.frames import events_of, items_of
from models_ml.ranking.protocols import OURS, Outcome
from tests.unit.models_ml.ranking.test_data import kuairand


class Fixed:
    """Offers the same list to everybody and notes what it is told."""

    def __init__(self, offers):
        self.offers, self.heard, self.catalogue = offers, [], None

    def fit(self, events, items):
        self.heard, self.catalogue = events.item_id.tolist(), items.item_id.tolist()

    def recommend(self, user_ids, k, exclude_seen=True, now=None):
        self.heard.append(f"asked at {now}")
        return [self.offers[:k] for _ in user_ids]

    def observe(self, event):
        self.heard.append(event["item_id"])


def a_split():
    before = {"user_id": [1, 2, 2], "item_id": [10, 11, 90], "ts": [1, 2, 3], "like": [1, 1, 0], "hate": [0, 0, 1]}
    after = {"user_id": [1, 1, 2], "item_id": [11, 50, 50], "ts": [5, 6, 7], "like": [1, 1, 1], "hate": 0}
    wanted = pd.DataFrame({"user_id": [1, 2], "item_id": [11, 10]})
    items = items_of(pd.DataFrame({"item_id": [10, 11, 12]}))
    return Split("tiny", events_of(pd.DataFrame(before)), items, wanted, 5.0, events_of(pd.DataFrame(after)))


@pytest.fixture
def offering(monkeypatch):
    def make(*offers):
        model = Fixed(list(offers))
        monkeypatch.setattr(protocols, "model_of", lambda name, data: model)
        return model

    return make


def test_asked_once_everybody_wants_their_own(offering):
    model = offering(10, 11)
    outcome = protocols.static(a_split(), "fixed", "")
    assert model.heard == [10, 11, 90, "asked at 5.0"]
    assert outcome.values["HR@10"].tolist() == [1, 1]
    assert outcome.values["NDCG@10"] == pytest.approx([1 / np.log2(3), 1])
    assert outcome.coverage == pytest.approx(2 / 3)


def test_what_is_not_in_the_catalogue_or_offered_twice_takes_no_place(offering):
    offering(90, 12, 12, 11)
    assert protocols.static(a_split(), "fixed", "").values["NDCG@10"] == pytest.approx([1 / np.log2(3), 0])


def test_each_like_is_asked_for_before_it_is_learnt_and_a_post_is_listed_from_its_first_like_on(offering):
    model = offering(50, 12, 11)
    outcome = protocols.prequential(a_split(), "fixed", "")
    assert model.catalogue == [10, 11]
    assert model.heard == [10, 11, 90, "asked at 5.0", 11, "asked at 6.0", 50, "asked at 7.0", 50]
    assert outcome.values["NDCG@10"].tolist() == [1, 0, 1]
    assert outcome.people.tolist() == [1, 1, 2]
    assert outcome.gauc is None


def outcome(model, gains, coverage=0.6, data="microlens50k"):
    gains = np.array(gains)
    return Outcome(data, model, np.arange(len(gains)), {"NDCG@10": gains, "HR@10": gains}, coverage, 1.0, 1.0)


def test_ours_is_held_to_the_best_of_the_others_and_to_its_floors():
    others = [outcome("popular", [0.1, 0.1]), outcome("rules", [0.2, 0.2])]
    good = evaluate.judged([*others, outcome(OURS, [0.3, 0.3])])
    assert [figure.reached for figure in good] == [True, True, True]
    assert good[0].value == pytest.approx(1.5) and "rules" in good[0].what
    weak = evaluate.judged([*others, outcome(OURS, [0.21, 0.21], coverage=0.4)])
    assert [figure.reached for figure in weak] == [False, True, False]
    assert evaluate.judged(others) == []


def test_the_command_prints_a_row_for_each_model_and_both_ways_to_ask(tmp_path, capsys):
    draw = np.random.default_rng(3)
    rows = [(int(draw.integers(6)), int(draw.integers(15)), 1_650_000_000_000 + i, 1 - i % 5 // 4) for i in range(200)]
    kuairand(tmp_path, rows)
    assert evaluate.main(["--data", str(tmp_path), "--quick", "--models", "popular", "rules"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed if line.startswith(("popular", "rules"))] == ["popular", "rules"] * 2
    assert sum("coverage@10" in line for line in printed) == 2


def test_without_data_the_command_says_so(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(["--data", str(tmp_path)])
    assert stopped.value.code == 2
    assert "no data set" in capsys.readouterr().err
