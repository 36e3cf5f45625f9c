"""Moving objects of posts to where they belong, and pointing the rows there.

All objects of a post lie under `users/<id>/<upload id>/`. Imported posts may name others, and after a change of the
store, or a loss, objects may be missing where the rows look for them. A plan says what is to be done for one post; it
may be cut off anywhere and made again.
"""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from popoff.adapters.storage import IMMUTABLE, FolderStore, InvalidKey, store
from popoff.kernel.db import db
from popoff.kernel.errors import Conflict
from popoff.media import queries, rules
from popoff.media.models import Post, Upload, UploadFile
from popoff.media.rules import FileRole


class Origin(Protocol):
    """Somewhere objects may be, by the keys that rows name (or did)."""

    def find(self, key: str) -> int | None:
        """Bytes of the object; None when it is not there."""

    def below(self, prefix: str) -> dict[str, int]:
        """Bytes of each object under `prefix` by key."""

    def bring(self, key: str, target: str) -> None:
        """Copy an object into the store, to `target`."""

    def remove(self, key: str) -> None:
        """Delete an object, unless a row of ours names it."""


class Here:
    """The store in use, in its folder `prefix` (empty: all of it)."""

    def __init__(self, prefix: str = ""):
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def find(self, key: str) -> int | None:
        try:
            found = store().stat(self._prefix + key)
        except InvalidKey:  # a name that no object of ours can have
            return None
        return found.size if found else None

    def below(self, prefix: str) -> dict[str, int]:
        return {found.key.removeprefix(self._prefix): found.size for found in store().list(self._prefix + prefix)}

    def bring(self, key: str, target: str) -> None:
        store().copy(self._prefix + key, target)

    def remove(self, key: str) -> None:
        if not _is_named(self._prefix + key):
            store().delete([self._prefix + key])


class Folder:
    """A folder on this machine: one that a folder store kept (it has `objects/`), or plain files named by key."""

    def __init__(self, root: Path):
        self._root = root.resolve()
        self._store = FolderStore(root, "", str) if (root / "objects").is_dir() else None

    def find(self, key: str) -> int | None:
        if self._store is None:
            path = self._path(key)
            return path.stat().st_size if path else None
        try:
            found = self._store.stat(key)
        except InvalidKey:
            return None
        return found.size if found else None

    def below(self, prefix: str) -> dict[str, int]:
        if self._store is not None:
            return {found.key: found.size for found in self._store.list(prefix)}
        files = (path for path in (self._root / prefix).rglob("*") if path.is_file() and not path.is_symlink())
        return {path.relative_to(self._root).as_posix(): path.stat().st_size for path in files}

    def bring(self, key: str, target: str) -> None:
        cache = IMMUTABLE if _is_immutable(target) else None
        if self._store is None:
            store().put_file(target, self._root / key, _type_of(key), cache)
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "object"
            info = self._store.download(key, copy)
            store().put_file(target, copy, info.content_type or _type_of(key), cache)

    def remove(self, key: str) -> None:
        if self._store is not None:
            self._store.delete([key])
        elif path := self._path(key):
            path.unlink()

    def _path(self, key: str) -> Path | None:
        """The file of a key; names that lead out of the folder have none."""
        path = (self._root / key).resolve()
        return path if path.is_relative_to(self._root) and path.is_file() else None


def _type_of(key: str) -> str:
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def _is_immutable(key: str) -> bool:
    """What the pipeline made, but for the master playlist, never changes under its key."""
    folder, _, name = key.rpartition("/")
    return (f"/{rules.HLS_FOLDER}" in folder or f"/{rules.PICTURES_FOLDER}" in folder) and name != rules.MASTER_PLAYLIST


def _is_named(key: str) -> bool:
    post = sa.or_(Post.source_key == key, Post.thumbnail_key == key, Post.preview_key == key)
    return bool(db.session.scalar(sa.select(sa.or_(sa.exists().where(post), sa.exists().where(UploadFile.key == key)))))


@dataclass(frozen=True)
class Copy:
    """An object to bring to `target`, of `size` bytes."""

    origin: Origin
    key: str
    target: str
    size: int


@dataclass
class Plan:
    """What puts one post right. `renamed` is what the rows name and should; `missing` was found nowhere."""

    post_id: int
    prefix: str
    copies: list[Copy] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    left: list[tuple[Origin, str]] = field(default_factory=list)


def post_ids() -> Sequence[int]:
    """All posts that are not deleted."""
    return db.session.scalars(sa.select(Post.id).where(Post.deleted_at.is_(None)).order_by(Post.id)).all()


def plan(post_id: int, elsewhere: Sequence[Origin]) -> Plan:
    """What is to be done for a post; objects that are missing are looked for `elsewhere`, in this order.

    Raises NotFound.
    """
    post, files = _read(post_id)
    made = Plan(post_id, rules.prefix(post.user_id, post.upload_id))
    here = Here()
    present = here.below(made.prefix)
    for key, target in _wanted(post, files, made.prefix):
        if key == target and target in present:
            continue
        origins = [here, *elsewhere] if key != target else elsewhere
        found = next(((origin, size) for origin in origins if (size := origin.find(key)) is not None), None)
        if found is None and target not in present:  # a row must not name what is not there
            made.missing.append(key)
            continue
        if key != target:
            made.renamed[key] = target
        if found is not None:
            made.left.append((found[0], key))
            if present.get(target) != found[1]:
                made.copies.append(Copy(found[0], key, target, found[1]))
    coming = present.keys() | {copy.target for copy in made.copies}
    for origin in elsewhere:
        for key, size in origin.below(made.prefix).items():
            if key not in coming:
                coming |= {key}
                made.copies.append(Copy(origin, key, key, size))
                made.left.append((origin, key))
    master = f"{made.prefix}{rules.HLS_FOLDER}/{rules.MASTER_PLAYLIST}"
    if post.renditions and master not in coming:
        made.missing.append(master)
    return made


def _read(post_id: int, *, lock: bool = False) -> tuple[Post, list[UploadFile]]:
    post = db.session.get(Post, post_id, with_for_update=lock, populate_existing=True)
    if post is None or post.deleted_at is not None:
        raise queries.not_found()
    upload = db.session.get_one(Upload, post.upload_id, with_for_update=lock, populate_existing=True)
    return post, list(upload.files)


def _wanted(post: Post, files: Sequence[UploadFile], prefix: str) -> Iterator[tuple[str, str]]:
    """Each key that the rows of a post name, and the one they should name."""
    roles = {file.key: FileRole(file.role) for file in files}
    roles.setdefault(post.source_key, FileRole.SOURCE)
    if post.thumbnail_key and not post.thumbnail_key.startswith(prefix) and FileRole.THUMBNAIL not in roles.values():
        roles[post.thumbnail_key] = FileRole.THUMBNAIL
    numbers = (f"package/{number:05}.ts" for number in range(len(files) * 2))
    names = {
        FileRole.SOURCE: "source",
        FileRole.PLAYLIST: "package/playlist.m3u8",
        FileRole.THUMBNAIL: "thumbnail",
    }
    for key, role in sorted(roles.items()):
        if key.startswith(prefix):
            yield key, key
        elif role is FileRole.SEGMENT:
            yield key, next(target for number in numbers if (target := prefix + number) not in roles)
        else:
            yield key, prefix + names[role]
    yield from ((key, key) for key in (post.thumbnail_key, post.preview_key) if key and key.startswith(prefix))


def bring(made: Plan) -> None:
    """Copy what is to be copied. Long, and outside any transaction. Raises Conflict (code `copy_differs`)."""
    for copy in made.copies:
        copy.origin.bring(copy.key, copy.target)
        if Here().find(copy.target) != copy.size:
            raise Conflict(f"The copy of {copy.key} at {copy.target} differs from it.", code="copy_differs")


def repoint(made: Plan) -> None:
    """Make the rows name the new keys. Raises Conflict (code `post_changed`) when they are not as they were planned.

    A picture from outside is kept as the person's own thumbnail, which the pipeline draws anew: links lead only to
    pictures we made.
    """
    post, files = _read(made.post_id, lock=True)
    if not made.renamed.items() <= dict(_wanted(post, files, made.prefix)).items():
        raise Conflict(f"Post {made.post_id} was changed meanwhile; say it again.", code="post_changed")
    known = {file.key for file in files}
    for key, target in made.renamed.items():
        if key in known:
            db.session.execute(sa.update(UploadFile).where(UploadFile.key == key).values(key=target))
        else:
            role = FileRole.SOURCE if key == post.source_key else FileRole.THUMBNAIL
            kind = rules.THUMBNAIL_TYPE if role is FileRole.THUMBNAIL else "video/mp4"
            label = key.rpartition("/")[2][:200]
            file = UploadFile(key=target, upload_id=post.upload_id, label=label, content_type=kind, role=role.value)
            db.session.add(file)
    post.source_key = made.renamed.get(post.source_key, post.source_key)
    if post.thumbnail_key in made.renamed:
        post.thumbnail_key = None
    db.session.flush()


def clear(made: Plan) -> None:
    """Delete the objects that were brought from elsewhere, once the rows name the new ones."""
    for origin, key in made.left:
        origin.remove(key)
