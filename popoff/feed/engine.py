"""The trained feed inside a process: the last snapshot of what goes with what, and the posts that came since.

A worker writes a snapshot every few minutes (`write`); each process that serves maps the newest into memory and, a few
seconds behind, makes new posts known to its own copy. It is a help and never a need: with no snapshot, or none that can
be read or gives answers, the feed goes by its rules. What a person did is not in here: it is read from the database
for each page.

    <models>/feed/<version>/...     see `models_ml.ranking.store`
    <models>/feed/current

The library and its trees take a second to import, so they are imported by the thread that loads the first snapshot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import structlog

import config
from models_ml import registry
from popoff.feed import rankers
from popoff.feed.recent import Act, Recent

if TYPE_CHECKING:
    import pandas as pd

    from models_ml.ranking.asking import Asked
    from models_ml.ranking.model import FeedModel
    from models_ml.ranking.ranker import Ranker

log = structlog.get_logger()

LOOK_EVERY_S, CATCH_UP_EVERY_S = 1.0, 3.0
"""How often a process looks for another snapshot or ranker, and for new posts."""
SNAPSHOTS_KEPT = 2
MADE_IN, REST = "seconds", 10
PROPOSED = 150
"""Candidates that the model proposes for a page; the database says which of them may be shown."""
_DAMAGED = (ArithmeticError, LookupError, TypeError, ValueError)
"""What asking a snapshot raises that has numbers in it which cannot be: loading looks at their shapes alone."""


@dataclass(frozen=True)
class NewPost:
    """A post to be made known: what `models_ml.ranking.frames` calls an item."""

    item_id: int
    title: str
    tags: Sequence[str]
    duration_ms: float | None
    author_id: int
    created: datetime


class Visit:
    """What the model says to one person for one page. Its answers are of one moment and one ranker."""

    def __init__(self, lock: threading.Lock, asked: Asked, ranker: str) -> None:
        self._lock, self._asked, self.ranker = lock, asked, ranker
        self.proposed = [int(str(post_id)) for post_id in asked.best(PROPOSED)]
        """Posts that may please, at most PROPOSED, in no order."""

    def log_odds(self, post_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """See `Asked.scores`."""
        with self._lock, _told_of_damage():
            return self._asked.scores(post_ids)
        return np.full(len(post_ids), np.nan, dtype=np.float32)

    def because(self, post_ids: Sequence[int]) -> list[Any]:
        """See `Asked.because`."""
        with self._lock, _told_of_damage():
            return self._asked.because(post_ids)
        return [None] * len(post_ids)


@contextlib.contextmanager
def _told_of_damage() -> Iterator[None]:
    """A snapshot that cannot answer costs nobody their page: it is told of, and the block is left."""
    try:
        yield
    except _DAMAGED:
        log.exception("feed_snapshot_damaged")


class Engine:
    """One for each process. Threads ask it at the same time; the library is asked by one at a time."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._folder = models / "feed"
        self._lock = threading.Lock()
        self._loading, self._adding = threading.Lock(), threading.Lock()
        self._feed: FeedModel | None = None
        self._rankers: dict[str, Ranker] = {}
        self._refused: set[str] = set()
        self._version = self._in_use = ""
        self._looked = self._caught_up = float("-inf")
        self._since = datetime.fromtimestamp(0, UTC)

    def visit(
        self, user_id: int, recent: Recent, now: datetime, banned: Sequence[int], ranker: str = ""
    ) -> Visit | None:
        """Somebody asks for a page; None while there is no snapshot or no ranker, or none that can answer. `ranker`: a
        version on trial, in place of the one in use; until it is loaded the one in use answers."""
        self._look(ranker)
        feed = self._feed
        version = ranker if ranker in self._rankers else self._in_use
        if feed is None or version not in self._rankers:
            return None
        with self._lock, _told_of_damage():
            person = feed.recall(user_id, recent["post_id"].tolist(), recent["at"].tolist(), _gains(recent).tolist())
            return Visit(self._lock, feed.ask(person, now.timestamp(), banned, self._rankers[version]), version)
        return None

    def wants_posts(self) -> datetime | None:
        """Since when new posts are wanted, when it is time to ask again; they are to be given to `add`."""
        now = time.monotonic()
        if self._feed is None or now < self._caught_up + CATCH_UP_EVERY_S or self._adding.locked():
            return None
        self._caught_up = now
        return self._since

    def add(self, posts: Sequence[NewPost], until: datetime) -> None:
        """Have posts made known that were playable before `until`; those that are known stay as they are.

        Beside the requests: each is compared with all the others, which takes longer the more there are.
        """
        if (feed := self._feed) is not None:
            fresh = [post for post in posts if post.item_id not in feed.memory.post_of]
            threading.Thread(target=self._add, args=(feed, fresh, until), name="feed-posts", daemon=True).start()

    def _add(self, feed: FeedModel, posts: Sequence[NewPost], until: datetime) -> None:
        with self._adding:
            for post in posts:
                item, began = _item(post), time.monotonic()
                with self._lock, _told_of_damage():
                    feed.add(item)
                time.sleep(time.monotonic() - began)  # pages have at least as much of the time
            with self._lock:
                if feed is self._feed:  # else another snapshot was taken meanwhile, which was told none of this
                    self._since = until

    def load(self, ranker: str = "") -> None:
        """Take the newest snapshot and the rankers that are wanted, now, whatever it takes."""
        with self._loading:
            self._load_rankers(ranker)
            self._load_snapshot()

    def _look(self, ranker: str) -> None:
        """Have what is newer loaded beside the requests."""
        now = time.monotonic()
        if now < self._looked + LOOK_EVERY_S or self._loading.locked():
            return
        self._looked = now
        if self._is_stale(ranker):
            threading.Thread(target=self.load, args=(ranker,), name="feed-snapshot", daemon=True).start()

    def _is_stale(self, ranker: str) -> bool:
        wanted = {self._wanted(), ranker} - {""} - self._rankers.keys() - self._refused
        return bool(wanted) or _named(self._folder) not in ("", self._version, *self._refused)

    def _wanted(self) -> str:
        return registry.in_use(rankers.MODEL, (self._models, registry.SHIPPED))

    def _load_snapshot(self) -> None:
        version = _named(self._folder)
        if not version or version == self._version or version in self._refused:
            return
        from models_ml.ranking.model import FeedModel

        try:
            feed = FeedModel.load(self._folder / version)
        except (OSError, ValueError, KeyError) as error:
            self._refused.add(version)
            log.error("feed_snapshot_refused", version=version, error=str(error))
            return
        with self._lock:
            self._since = datetime.fromtimestamp(feed.memory.clock, UTC)
            self._feed, self._version, self._caught_up = feed, version, float("-inf")
        self._refused = set()  # it may have been the disk: what is still wanted is looked at once more

    def _load_rankers(self, ranker: str) -> None:
        for version in {self._wanted(), ranker} - {""} - self._rankers.keys() - self._refused:
            try:
                self._rankers[version] = rankers.load(version)
            except registry.Refused as refusal:
                self._refused.add(version)
                log.error("feed_ranker_refused", version=version, reason=str(refusal))
        if self._wanted() in self._rankers:
            self._in_use = self._wanted()


@contextlib.contextmanager
def turn(models: Path) -> Iterator[bool]:
    """Whether it is for us to make a snapshot while the block runs: one at a time is made in a folder, by whoever has
    its lock, which dies with the process. Raises OSError where nothing can be written, before anything was made."""
    folder = models / "feed"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".turn").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def write(feed: FeedModel, models: Path, version: str, seconds: float) -> None:
    """Put a snapshot, which took so long to make, in place of the one before, which is kept for those who read it.

    For whoever has the `turn`: what a process left that ended while it wrote is removed.
    """
    folder = models / "feed"
    feed.save(folder / version)
    (folder / version / MADE_IN).write_text(f"{seconds:.3f}", encoding="utf-8")
    part = folder / ".current.part"
    part.write_text(version, encoding="utf-8")
    os.replace(part, folder / "current")
    others = sorted(path for path in folder.iterdir() if path.is_dir() and path.name != version)
    left = [path for path in others if path.name.startswith(".")]
    for path in [*left, *others[len(left) : len(others) - (SNAPSHOTS_KEPT - 1)]]:
        shutil.rmtree(path, ignore_errors=True)


def is_due(models: Path, now: float) -> bool:
    """Whether it is time for another snapshot: making them takes at most one part in REST of a worker's time.

    `now`: seconds since 1970, as the file system tells them.
    """
    folder = models / "feed" / (_named(models / "feed") or "none")
    try:
        return now >= folder.stat().st_mtime + REST * float((folder / MADE_IN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True


_ENGINES: dict[Path, Engine] = {}


def current() -> Engine:
    """The engine of this process."""
    models = config.current().models_folder
    return _ENGINES.setdefault(models, Engine(models))


def _named(folder: Path) -> str:
    try:
        return (folder / "current").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return ""


def _gains(recent: Recent) -> npt.NDArray[np.float32]:
    """What each record was worth, -1..1, as the model learnt to see it."""
    from models_ml.ranking.frames import COMMENT, DURATION, HATE, LIKE, SHARE, WATCHED
    from models_ml.ranking.history import gains

    acts = {LIKE: Act.LIKED, COMMENT: Act.COMMENTED, SHARE: Act.SHARED, HATE: Act.REJECTED}
    told = {name: ((recent["acts"] & int(act)) != 0).astype(np.float64) for name, act in acts.items()}
    told[WATCHED], told[DURATION] = recent["watch_ms"].astype(np.float64), recent["duration_ms"].astype(np.float64)
    return gains(told, len(recent))


def _item(post: NewPost) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([vars(post)])
