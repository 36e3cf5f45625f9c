from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from popoff.adapters.insight import insight
from popoff.adapters.jobs import Job
from popoff.feed import queries
from popoff.feed import service as feed
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media import service as media
from popoff.social import service as social
from tests.support.command_line import popoff
from tests.support.people import People
from tests.support.posts import make_post

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def posts(people: People) -> dict[str, int]:
    people.ada, people.bela  # noqa: B018
    captions = ["A song on my guitar", "Piano melody", "Pasta recipe", "Baking bread", "Football goals", "Tennis match"]
    return {caption: make_post("ada", caption) for caption in captions}


def staged(name: str) -> set[int]:
    return set(db.session.scalars(sa.select(Job.args["post_id"].as_integer()).where(Job.name == name)))


def test_embeddings_come_as_csv_that_pandas_reads_back(posts: dict[str, int]) -> None:
    awkward = make_post("bela", 'Commas, "quotes",\nand lines: guitar')
    make_post("bela", "")
    deleted = make_post("ada", "Drums")
    media.delete_post(db.session.execute(sa.text("SELECT user_id FROM posts")).scalars().first(), deleted)
    table = pd.read_csv(io.StringIO(popoff("feed", "embeddings").stdout)).set_index("post_id")
    assert set(table.index) == {*posts.values(), awkward}
    assert table.loc[awkward, "description"] == 'Commas, "quotes",\nand lines: guitar'
    assert (table.loc[awkward, "user"], table.loc[awkward, "model"]) == ("bela", insight().model)
    stored = queries.vectors_of(list(posts.values()), insight().model)
    for post_id, vector in stored.items():
        np.testing.assert_allclose(table.loc[post_id].filter(regex=r"^v\d").astype(float), vector, atol=1e-6)


def test_embeddings_come_in_chunks(posts: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    by_two = list(queries.embeddings(chunk=2))
    assert [len(rows) for rows, _ in by_two] == [2, 2, 2]
    assert [row.post_id for rows, _ in by_two for row in rows] == sorted(posts.values(), reverse=True)
    assert [len(rows) for rows, _ in queries.embeddings(newest=3)] == [3]
    assert list(queries.embeddings(model="another")) == []


def test_without_posts_the_csv_is_its_header(people: People) -> None:
    table = pd.read_csv(io.StringIO(popoff("feed", "embeddings").stdout))
    assert len(table) == 0
    assert list(table.columns[[0, 1, -1]]) == ["post_id", "user", "v255"]


def test_a_file_is_written_whole_or_not_at_all(
    posts: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "embeddings.csv"
    popoff("feed", "embeddings", "--output", output)
    before = output.read_text()
    assert before == popoff("feed", "embeddings").stdout

    def breaks() -> Iterator[object]:
        yield next(iter(whole()))
        raise RuntimeError("the connection is gone")

    whole = queries.embeddings
    monkeypatch.setattr(queries, "embeddings", breaks)
    with pytest.raises(RuntimeError):
        popoff("feed", "embeddings", "--output", output)
    assert output.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["embeddings.csv"]


def test_a_file_that_cannot_be_written_is_one_sentence(posts: dict[str, int], tmp_path: Path) -> None:
    result = popoff("feed", "embeddings", "--output", tmp_path / "nowhere" / "file.csv", fails=True)
    assert "cannot be written" in result.stderr


def pictures(page: str) -> list[ElementTree.Element]:
    """The drawings of a page, which must be well-formed."""
    found = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    return [ElementTree.fromstring(svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)) for svg in found]


def test_the_map_shows_every_post_with_its_caption(posts: dict[str, int], tmp_path: Path) -> None:
    make_post("bela", "<script>alert('guitar')</script>")
    make_post("bela", "")
    output = tmp_path / "map.html"
    popoff("feed", "map", "--output", output)
    page = output.read_text()
    (svg,) = pictures(page)
    titles = [dot.findtext(f"{SVG}title") for dot in svg.iter(f"{SVG}circle") if "post" in dot.get("class", "")]
    assert len(titles) == len(posts) + 1
    assert all(any(title.startswith(caption) for title in titles if title) for caption in posts)
    assert "<script" not in page
    assert not re.search(r"https?://|src=|@import|url\(", page)


def test_the_map_names_its_clusters_and_tells_them_in_words_too(posts: dict[str, int]) -> None:
    page = popoff("feed", "map").stdout
    (svg,) = pictures(page)
    labels = [text.text for text in svg.iter(f"{SVG}text")]
    assert len(labels) >= 2
    for label in labels:
        assert label is not None
        assert f'<th scope="row">{label}</th>' in page
    assert svg.get("role") == "img"
    assert svg.findtext(f"{SVG}title") == f"{len(posts)} posts on {len(labels)} islands"


def test_the_same_posts_give_the_same_map(posts: dict[str, int]) -> None:
    with clock.at(datetime(2026, 11, 18, tzinfo=UTC)):
        assert popoff("feed", "map").stdout == popoff("feed", "map").stdout


def test_the_newest_posts_are_drawn_when_there_are_too_many(posts: dict[str, int]) -> None:
    page = popoff("feed", "map", "--posts", 2).stdout
    assert "Tennis match" in page
    assert "Football goals" in page
    assert "guitar" not in page


def test_the_map_shows_what_a_person_watched_week_by_week(people: People, posts: dict[str, int]) -> None:
    bela = db.session.execute(sa.text("SELECT id FROM users WHERE username = 'bela'")).scalar_one()
    soon = clock.now() + timedelta(weeks=1)
    mondays = [soon.date() + timedelta(days=days - soon.weekday()) for days in (0, 7)]
    for monday, caption in zip([0, 0, 1], ["A song on my guitar", "Piano melody", "Pasta recipe"], strict=True):
        with clock.at(datetime.combine(mondays[monday], time(23, 59), UTC)):
            social.record_view(bela, posts[caption], 8.0)
            feed.learn(bela, posts[caption], watch_ms=8000)
    page = popoff("feed", "map", "--person", "bela").stdout
    islands, weeks = pictures(page)
    assert sum("seen" in dot.get("class", "") for dot in islands.iter(f"{SVG}circle")) == 3
    bars = [bar.findtext(f"{SVG}title") or "" for bar in weeks.iter(f"{SVG}rect")]
    assert {bar.split(":")[0] for bar in bars} == {f"Week of {day}" for day in mondays}
    for day in mondays:
        shares = [int(bar.split()[-2]) for bar in bars if str(day) in bar]
        assert sum(shares) == pytest.approx(100, abs=2)
    assert f'<th scope="row">{mondays[0]}</th><td class="number">16</td>' in page
    assert "Music" in page.split("What bela watches")[1]


def test_somebody_who_has_watched_nothing_has_no_weeks(posts: dict[str, int]) -> None:
    page = popoff("feed", "map", "--person", "bela@people.example").stdout
    assert "Nothing so far." in page
    assert len(pictures(page)) == 1


def test_a_map_of_an_unknown_person_is_refused(posts: dict[str, int]) -> None:
    assert popoff("feed", "map", "--person", "zoe", fails=True).stderr == "Error: Nobody is called zoe.\n"


def test_without_posts_the_map_says_so(people: People) -> None:
    assert "There are no posts with words yet." in popoff("feed", "map").stdout


def test_rebuilding_indexes_what_the_model_does_not_know(posts: dict[str, int]) -> None:
    ada = db.session.execute(sa.text("SELECT id FROM users WHERE username = 'ada'")).scalar_one()
    missing, stale, silent = make_post("ada", "Drums", indexed=False), posts["Pasta recipe"], make_post("ada", "")
    feed.index_post(stale, insight().embed(["Pasta"])[0], "Food", "another-model")
    gone = make_post("ada", "Violin", indexed=False)
    media.delete_post(ada, gone)
    social.record_view(ada + 1, posts["Piano melody"], 5.0)
    for _ in range(2):
        assert popoff("feed", "rebuild").output.startswith("2 posts are indexed anew")
        assert staged("media.insight") == {missing, stale}
    assert silent not in staged("media.insight")
    assert db.session.scalars(sa.text("SELECT post_id FROM trending_posts")).all() == [posts["Piano melody"]]
