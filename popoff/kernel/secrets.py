"""The key that signs sessions and links, when the operator has set none."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path


def kept_secret(file: Path) -> str:
    """64 hexadecimal digits kept in `file`, made on first use.

    Two processes may start at once: the first to link its draft into place wins, and both use that one.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
    return file.read_text().strip()
