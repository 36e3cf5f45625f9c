"""What captions and tags say is read by plain rules."""

from __future__ import annotations

import pytest

from models_ml.quality import words

SPOKEN = {"speech": 0.5, "flashes_per_second": 0.0}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How to make the best bread in your own oven", "English"),
        ("Cómo se hace el pan en casa con muy poco", "Spanish"),
        ("Wie man das Brot mit der Hand macht und nicht mit", "German"),
        ("これはパンの作り方です", "Japanese"),
        ("Как испечь хлеб дома", "Russian or another in Cyrillic"),
        ("bread", ""),
        ("", ""),
    ],
)
def test_languages_are_guessed_or_left_open(text: str, language: str) -> None:
    assert words.language(text) == language


def test_what_teaches_is_worth_more_than_what_does_not_and_nothing_is_no_number() -> None:
    taught, reason = words.education(words.read("Tutorial: learn the science of bread #howto"), SPOKEN)
    plain, _ = words.education(words.read("me and my friends at the beach"), SPOKEN)
    assert taught is not None
    assert plain is not None
    assert taught > plain + 15
    assert "learn" in reason
    assert words.education(words.read(""), SPOKEN)[0] is None


def test_guidelines_are_advice_and_name_the_words() -> None:
    clean, said = words.guidelines(words.read("my cat"), SPOKEN)
    assert clean == 100
    assert words.ADVICE in said
    bad, said = words.guidelines(words.read("kill them all, free crypto https://x.example"), SPOKEN)
    assert bad < 60
    assert "kill" in said
    assert "link" in said
    assert words.ADVICE in said
    assert words.guidelines(words.read("skilled killjoys in Essex"), SPOKEN)[0] == 100
    assert words.guidelines(words.read(""), {"flashes_per_second": 9.0})[0] < 80


def test_tags_stand_in_the_caption_or_beside_it() -> None:
    assert words.read("bread #Baking #diy", ["#diy", "home"]).tags == ("diy", "home", "baking")
