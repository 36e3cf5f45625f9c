"""All sources together: the few hundred posts that the ranker looks at."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models_ml.ranking.candidates import Visit, cowatch, creators, fresh, interests, peers, shelf, text, trending
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import NOBODY, Ints, distinct


class Source(NamedTuple):
    name: str
    offer: Callable[[Memory, Visit, int], Ints]
    limit: int


SOURCES = (
    Source("after", cowatch.after, 200),
    Source("around", cowatch.around, 250),
    Source("interests", interests.alike, 100),
    Source("peers", peers.liked_by_peers, 150),
    Source("text", text.about, 60),
    Source("creators", creators.followed, 40),
    Source("trending", trending.popular, 600),
    Source("fresh", fresh.owed, 20),
    Source("shelf", shelf.fitting, 120),
)


def marked(memory: Memory, visit: Visit, posts: Ints) -> np.ndarray:
    """Which sources would offer each of these distinct posts: bit s for source s."""
    marks = np.zeros(len(posts), dtype=np.int32)
    for bit, source in enumerate(SOURCES):
        marks |= np.isin(posts, source.offer(memory, visit, source.limit)).astype(np.int32) << bit
    return marks


def gather(memory: Memory, visit: Visit, banned: Ints) -> tuple[Ints, np.ndarray]:
    """Distinct posts that are not banned, and which sources offered each: bit s for source s."""
    offers = [source.offer(memory, visit, source.limit) for source in SOURCES]
    bits = np.repeat(1 << np.arange(len(offers)), [len(offer) for offer in offers])
    posts, place = distinct(np.concatenate(offers), memory.slots)
    marks = np.zeros(len(posts), dtype=np.int32)
    np.bitwise_or.at(marks, place, bits.astype(np.int32))
    slots = memory.slots
    slots[banned] = 0
    admitted = (slots[posts] == NOBODY) & ~(memory.born[posts] > visit.now)
    slots[banned] = NOBODY
    return posts[admitted], marks[admitted]
