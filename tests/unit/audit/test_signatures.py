"""Ed25519 and signed notes, against published vectors and against the library that signs."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from popoff.audit.keys import is_signature
from popoff.audit.verify import Damaged, Key, TreeHead, open_checkpoint, parse_key, verify_signature
from tests.support.audit import OTHER_SIGNER, SIGNER

# RFC 8032, 7.1: public key, message, signature
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
HEAD = TreeHead(1234, bytes(range(32)))


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032(public: str, message: str, signature: str) -> None:
    key, text, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert verify_signature(key, text, signed)
    assert not verify_signature(key, text + b"\x00", signed)
    for bit in range(0, 512, 17):
        changed = bytearray(signed)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify_signature(key, text, bytes(changed))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
@settings(max_examples=40, deadline=None)
def test_we_agree_with_the_library_that_signs(seed: bytes, message: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    signature = private.sign(message)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    for candidate, expected in ((signature, True), (bytes(changed), False)):
        assert verify_signature(public, message, candidate) is is_signature(public, message, candidate) is expected


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    public, message, signature = (bytes.fromhex(part) for part in RFC_8032[1])
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify_signature(public, message, signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("public", [b"", bytes(31), b"\xff" * 32, b"\x02" + bytes(31)])
def test_what_is_no_point_of_the_curve_is_no_key(public: bytes) -> None:
    assert not verify_signature(public, b"", bytes(64))


def test_a_published_signed_note() -> None:
    """The example of the note format: Go's golang.org/x/mod/sumdb/note."""
    key = parse_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    packed = b64decode("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=")
    assert packed[:4] == key.id
    assert verify_signature(key.public, text.encode(), packed[4:])


def test_a_checkpoint_says_what_was_signed() -> None:
    note = SIGNER.sign(HEAD)
    assert note.startswith(f"{SIGNER.key.name}\n1234\n{b64encode(HEAD.root).decode()}\n\n— {SIGNER.key.name} ")
    assert open_checkpoint(note, SIGNER.key) == open_checkpoint(note, SIGNER.key, is_signature) == HEAD


def test_a_witness_may_sign_below() -> None:
    note = SIGNER.sign(HEAD) + "— witness.example/w1 " + b64encode(bytes(68)).decode() + "\n"
    assert open_checkpoint(note, SIGNER.key) == HEAD


@pytest.mark.parametrize(
    "note",
    [
        "",
        "no note\n",
        OTHER_SIGNER.sign(HEAD),
        SIGNER.sign(HEAD).replace("1234", "1235"),
        SIGNER.sign(HEAD).replace("1234", "01234"),
        SIGNER.sign(HEAD).replace("— ", "- "),
        SIGNER.sign(HEAD).rstrip("\n"),
        SIGNER.sign(HEAD).replace("\n\n", "\n"),
        SIGNER.sign(HEAD)[:-3] + "\n",
    ],
)
def test_what_was_not_signed_like_this_is_no_checkpoint(note: str) -> None:
    with pytest.raises(Damaged):
        open_checkpoint(note, SIGNER.key)


def test_no_character_of_a_checkpoint_may_change() -> None:
    note = SIGNER.sign(HEAD)
    for at, character in enumerate(note):
        other = "A" if character != "A" else "B"
        with pytest.raises(Damaged):
            open_checkpoint(note[:at] + other + note[at + 1 :], SIGNER.key)


def test_a_note_of_this_key_about_something_else_is_no_checkpoint_of_this_log() -> None:
    other_log = Key("another/log", SIGNER.key.public)
    text = f"another/log\n1\n{b64encode(bytes(32)).decode()}\n"
    packed = b64encode(SIGNER.key.id + SIGNER._private.sign(text.encode())).decode()
    with pytest.raises(Damaged, match="another log"):
        open_checkpoint(f"{text}\n— {SIGNER.key.name} {packed}\n", SIGNER.key)
    assert other_log.id != SIGNER.key.id


@pytest.mark.parametrize("change", [(0, "x"), (-1, "A"), (len(SIGNER.key.name) + 1, "0" * 8), (0, "")])
def test_a_key_that_was_copied_wrongly_is_noticed(change: tuple[int, str]) -> None:
    at, new = change
    text = str(SIGNER.key)
    assert parse_key(text) == SIGNER.key
    wrong = text[:at] + new + text[at % len(text) + max(1, len(new)) :]
    with pytest.raises(Damaged):
        parse_key(wrong)
