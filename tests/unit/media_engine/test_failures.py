from __future__ import annotations

from pathlib import Path

from popoff.media.failures import FailureCode, MediaFailure
from workers import probe_child


def test_every_code_has_a_sentence_for_people() -> None:
    for code in FailureCode:
        assert code.sentence.endswith(".")
        assert len(code.sentence) > 20


def test_faults_of_the_file_are_final_and_faults_of_ours_are_not() -> None:
    assert not FailureCode.NOT_MEDIA.worth_retrying
    assert not FailureCode.RESOURCE_LIMIT.worth_retrying
    assert FailureCode.TIMEOUT.worth_retrying
    assert FailureCode.ENCODE_FAILED.worth_retrying


def test_the_failure_names_its_code_and_keeps_the_detail() -> None:
    failure = MediaFailure(FailureCode.TRUNCATED, "no moov")
    assert (failure.code, failure.detail, str(failure)) == ("truncated", "no moov", "truncated: no moov")


def test_the_probing_child_knows_no_code_that_we_do_not() -> None:
    text = Path(probe_child.__file__).read_text()
    used = {part.split('"')[1] for part in text.split("Refused(")[1:] if part.startswith('"')}
    assert len(used) >= 5
    assert used <= set(FailureCode)
