"""A page out of scored candidates: best first, but no page of one creator or one topic, and a share for new posts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.ranking.tables import NOBODY, Ints


@dataclass(frozen=True)
class Rules:
    """What a page keeps to; an operator may set each.

    `per_creator`: posts of one creator among any `stretch` in a row; `per_topic`: posts of one first tag among them;
    `explore`: the share of places kept for posts that are owed an audience, when there are some.
    """

    stretch: int = 10
    per_creator: int = 2
    per_topic: int = 6
    explore: float = 0.1


@dataclass(frozen=True)
class Offer:
    """Candidates, all arrays (n,): number, score, creator and topic (NOBODY where unknown), and if owed an audience."""

    posts: Ints
    scores: npt.NDArray[np.float32]
    creators: Ints
    topics: Ints
    owed: npt.NDArray[np.bool_]


def select(offer: Offer, places: int, rules: Rules, chance: np.random.Generator) -> Ints:
    """At most `places` posts in the order of the page, none twice.

    Owed posts take the places that chance gives them, best first; they may also come by their own score. When the rules
    leave places empty, the best of what they held back fill them: a full page beats a tidy one.
    """
    order = np.argsort(-offer.scores, kind="stable").tolist()
    line = [place for place in order if offer.owed[place]]
    turns = chance.random(places) < rules.explore if line else np.zeros(places, dtype=bool)
    page: list[int] = []
    chosen: set[int] = set()
    for turn in turns.tolist():
        found = _first(line, chosen, page, offer, rules) if turn else None
        if found is None:
            found = _first(order, chosen, page, offer, rules)
        if found is None:
            break
        page.append(found)
        chosen.add(found)
    page.extend([place for place in order if place not in chosen][: places - len(page)])
    return offer.posts[page]


def _first(line: list[int], chosen: set[int], page: list[int], offer: Offer, rules: Rules) -> int | None:
    """The first in line that the rules admit after this page."""
    late = page[-(rules.stretch - 1) :] if rules.stretch > 1 else []
    creators, topics = offer.creators[late].tolist(), offer.topics[late].tolist()
    for place in line:
        if place in chosen:
            continue
        creator, topic = int(offer.creators[place]), int(offer.topics[place])
        if creator != NOBODY and creators.count(creator) >= rules.per_creator:
            continue
        if topic != NOBODY and topics.count(topic) >= rules.per_topic:
            continue
        return place
    return None
