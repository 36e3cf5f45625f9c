from __future__ import annotations

import pytest

from popoff.kernel import errors


@pytest.mark.parametrize("family", errors.DomainError.__subclasses__(), ids=lambda family: family.__name__)
def test_every_family_has_a_code_and_a_sentence_of_its_own(family: type[errors.DomainError]) -> None:
    plain, special = family(), family("It is so.", code="so_it_is", field="name", retry_after=3)
    assert plain.error_code == family.code and str(plain) == plain.text == family.message
    assert family.message.endswith(".") and family.code.replace("_", "").islower()
    assert (special.error_code, special.text, special.field, special.details) == (
        "so_it_is",
        "It is so.",
        "name",
        {"retry_after": 3},
    )
