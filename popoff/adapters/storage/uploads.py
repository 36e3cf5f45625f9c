"""Multipart uploads of the folder store: parts wait in a folder of their own until they become one object.

multipart/<upload id>/upload.json       key, content type, when it started
multipart/<upload id>/00001~<md5>       part 1; the newest file of a number counts
multipart/<upload id>/00002~<random>.part   a part that is arriving
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from popoff.adapters.storage.files import Draft, disk_errors, is_older, sync
from popoff.adapters.storage.interface import CHUNK_BYTES, MIN_PART_BYTES, InvalidPart, Part, UploadNotFound
from popoff.kernel import clock

_PART_NAME = re.compile(r"([0-9]{5})~([0-9a-f]{32})")


class Uploads:
    def __init__(self, root: Path):
        self.root = root

    def start(self, key: str, content_type: str) -> str:
        upload_id = secrets.token_hex(16)
        with disk_errors():
            folder = self.root / upload_id
            folder.mkdir(parents=True)
            about = {"key": key, "content_type": content_type, "started": clock.timestamp()}
            with (folder / "upload.json").open("x") as file:
                json.dump(about, file)
                sync(file)
        return upload_id

    def content_type(self, key: str, upload_id: str) -> str:
        """The type the upload was started with. Raises UploadNotFound, also for an upload of another key."""
        if not re.fullmatch(r"[0-9a-f]{32}", upload_id):
            raise UploadNotFound
        with disk_errors():
            try:
                about = json.loads((self.root / upload_id / "upload.json").read_text())
            except FileNotFoundError:
                raise UploadNotFound from None
        if about["key"] != key:
            raise UploadNotFound
        return str(about["content_type"])

    def is_open(self, key: str, upload_id: str) -> bool:
        try:
            self.content_type(key, upload_id)
        except UploadNotFound:
            return False
        return True

    def receive(self, upload_id: str, number: int, fill: Callable[[Callable[[bytes], object]], None]) -> Part:
        """Keep what `fill(write)` writes as part `number`; nothing is kept when it raises."""
        folder = self.root / upload_id
        temporary = folder / f"{number:05d}~{secrets.token_hex(8)}.part"
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with disk_errors(), temporary.open("xb") as file:

                def write(chunk: bytes) -> None:
                    digest.update(chunk)
                    file.write(chunk)

                fill(write)
                sync(file)
                size = file.tell()
                temporary.replace(folder / f"{number:05d}~{digest.hexdigest()}")
                for older in _files(folder).get(number, [])[:-1]:
                    older.unlink(missing_ok=True)
        finally:
            temporary.unlink(missing_ok=True)
        return Part(number, digest.hexdigest(), size)

    def parts(self, upload_id: str) -> list[Part]:
        with disk_errors():
            newest = [files[-1] for _, files in sorted(_files(self.root / upload_id).items())]
            return [Part(int(path.name[:5]), path.name[6:], path.stat().st_size) for path in newest]

    def assemble(self, upload_id: str, wanted: Sequence[Part], draft: Draft) -> tuple[str, int]:
        """Write the wanted parts into `draft`, one after the other; answers S3's etag of the whole, and its size.

        Raises InvalidPart for a part that is not there with its etag, or too small and not the last.
        """
        present = {part.number: part for part in self.parts(upload_id)}
        for position, part in enumerate(wanted):
            found = present.get(part.number)
            last = position == len(wanted) - 1
            if found is None or found.etag != part.etag or (found.size < MIN_PART_BYTES and not last):
                raise InvalidPart(part=part.number)
        digests = hashlib.md5(usedforsecurity=False)
        for part in wanted:
            with disk_errors(), (self.root / upload_id / f"{part.number:05d}~{part.etag}").open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    draft.append(chunk)
            digests.update(bytes.fromhex(part.etag))
        return f"{digests.hexdigest()}-{len(wanted)}", sum(present[part.number].size for part in wanted)

    def drop(self, upload_id: str) -> None:
        folder = self.root / upload_id
        with disk_errors():
            (folder / "upload.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)  # a part arriving now can hold the folder; `sweep` comes again

    def sweep(self, files_seconds: int, uploads_seconds: int) -> int:
        """Drop uploads started longer ago than `uploads_seconds`, and remains of dropped ones; how many."""
        removed = 0
        with disk_errors():
            folders = list(self.root.iterdir()) if self.root.is_dir() else []
        for folder in folders:
            about = folder / "upload.json"
            path, seconds = (about, uploads_seconds) if about.exists() else (folder, files_seconds)
            if is_older(path, clock.timestamp() - seconds):
                self.drop(folder.name)
                removed += 1
        return removed


def _files(folder: Path) -> dict[int, list[Path]]:
    """Finished parts by number, oldest first."""
    found: dict[int, list[tuple[int, str]]] = {}
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if match := _PART_NAME.fullmatch(entry.name):
            found.setdefault(int(match[1]), []).append((entry.stat().st_mtime_ns, entry.name))
    return {number: [folder / name for _, name in sorted(files)] for number, files in found.items()}
