"""The page of `popoff feed map`: a map of posts, and what one person watched week by week."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np

from popoff.accounts.models import User
from popoff.feed import atlas, queries
from popoff.feed.atlas import Atlas
from popoff.feed.categories import short_name
from popoff.kernel import clock

SIZE = 1000
WEEKS_SHOWN = 26
_SEED = 1
_EXAMPLES = 3


@dataclass(frozen=True)
class Bar:
    """A part of a week: of which island, from where to where (0..1)."""

    island: int
    start: float
    share: float


def page(model: str, newest: int, person: User | None) -> str:
    """The HTML of the map of the `newest` posts with words, with one person's weeks when one is named."""
    chunks = list(queries.embeddings(model=model, newest=newest))
    rows = list(itertools.chain.from_iterable(rows for rows, _ in chunks))
    context: dict[str, Any] = {"model": model, "drawn_at": clock.now(), "size": SIZE, "person": person}
    context |= {"posts": [], "weeks": [], "preferences": {}}
    if rows:
        vectors = np.concatenate([vectors for _, vectors in chunks])
        drawn = atlas.draw(vectors, [row.category for row in rows], np.random.default_rng(_SEED))
        context |= {"dot": max(3.0, min(12.0, 160 / len(rows) ** 0.5)), "islands": _islands(drawn, rows)}
        seen: set[int] = set()
        if person is not None:
            weeks, seen = _weeks(person, model, drawn)
            shares = queries.preferences(person.id)
            context |= {"weeks": weeks, "preferences": {short_name(label): part for label, part in shares.items()}}
        context["posts"] = _posts(drawn, rows, seen)
    return _template().render(context)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("popoff"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("feed_map.html")


def _posts(drawn: Atlas, rows: list[Any], seen: set[int]) -> list[dict[str, Any]]:
    return [
        {
            "x": round(x * SIZE, 1),
            "y": round(y * SIZE, 1),
            "island": int(island),
            "seen": row.post_id in seen,
            "title": f"{row.description or 'no caption'} ({row.user}, {short_name(row.category)})",
        }
        for (x, y), island, row in zip(drawn.places, drawn.clusters, rows, strict=True)
    ]


def _islands(drawn: Atlas, rows: list[Any]) -> list[dict[str, Any]]:
    """For each cluster what the legend, the map and the table say of it; examples are its most typical captions."""
    islands = []
    for number, name in enumerate(drawn.names):
        members = np.flatnonzero(drawn.clusters == number)
        x, y = drawn.centres[number] * SIZE
        captions = [rows[i].description for i in members if rows[i].description]
        islands.append(
            {
                "number": number + 1,
                "name": name,
                "count": len(members),
                "x": round(float(x), 1),
                "y": round(float(y), 1),
                "radius": round(float(drawn.radii[number]) * SIZE, 1),
                "examples": list(dict.fromkeys(captions))[:_EXAMPLES],
            }
        )
    return islands


def _weeks(person: User, model: str, drawn: Atlas) -> tuple[list[dict[str, Any]], set[int]]:
    """The latest weeks in which the person watched something, each with its bars; and all posts they have seen."""
    rows, vectors = queries.watched_by_week(person.id, model)
    islands = atlas.nearest(vectors, drawn.centroids)
    weeks = []
    for monday, numbers in itertools.groupby(range(len(rows)), key=lambda i: rows[i].week):
        watched = np.zeros(len(drawn.names))
        for i in numbers:
            watched[islands[i]] += rows[i].watch_ms
        shares = watched / watched.sum() if watched.any() else watched
        starts = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
        bars = [Bar(i, float(starts[i]), float(shares[i])) for i in np.flatnonzero(shares).tolist()]
        weeks.append({"monday": monday.isoformat(), "seconds": round(watched.sum() / 1000), "bars": bars})
    return weeks[-WEEKS_SHOWN:], {row.post_id for row in rows}
