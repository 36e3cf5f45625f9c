"""The key that signs sessions and links, when the operator has set none."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from config import SettingError

_SHORTEST = 32


def kept_secret(file: Path) -> str:
    """64 hexadecimal digits kept in `file`, made on first use.

    Two processes may start at once: the first to link its draft into place wins, and both use that one.
    Raises SettingError when the file was cut short: an empty key would sign for anybody.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        with draft.open("w") as written:
            written.write(secrets.token_hex(32))
            written.flush()
            os.fsync(written.fileno())
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
    secret = file.read_text().strip()
    if len(secret) < _SHORTEST:
        raise SettingError(f"{file} is damaged: remove it to get a new key (everybody has to sign in again)")
    return secret
