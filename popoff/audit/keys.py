"""The two secrets of the audit log: the key that signs checkpoints, and what pseudonyms are made with."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import config
from popoff.audit import rules
from popoff.audit.verify import Key, TreeHead, head_text, signed_note
from popoff.kernel.secrets import kept_secret


class Signer:
    """Signs tree heads. `key` is the public side."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = Key(f"popoff/audit/{hashlib.sha256(public).hexdigest()[:8]}", public)

    def sign(self, head: TreeHead) -> str:
        """The checkpoint for `head`, as a signed note."""
        text = head_text(self.key, head)
        return signed_note(self.key, text, self._private.sign(text.encode()))


def is_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """What `verify.verify_signature` says, fast."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signer() -> Signer:
    """The signer of this platform. Raises config.SettingError when AUDIT_KEY is no key."""
    settings = config.current()
    return _signer(settings.audit_key, settings.home)


@functools.lru_cache(maxsize=4)
def _signer(given: str, home: Path) -> Signer:
    return Signer(_secret("AUDIT_KEY", given, home / "audit.key"))


def pseudonym(owner_id: int) -> str:
    """The name of a person in the log. Raises config.SettingError."""
    settings = config.current()
    return _pseudonym(_pseudonym_secret(settings.audit_pseudonym_key, settings.home), owner_id)


_pseudonym = functools.lru_cache(maxsize=65_536)(rules.pseudonym)


@functools.lru_cache(maxsize=4)
def _pseudonym_secret(given: str, home: Path) -> bytes:
    return _secret("AUDIT_PSEUDONYM_KEY", given, home / "audit.pseudonyms")


def _secret(name: str, given: str, file: Path) -> bytes:
    text = given or kept_secret(file)
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise config.SettingError(f"{name} takes 64 hexadecimal digits" + ("" if given else f", as does {file}"))
    return bytes.fromhex(text)
