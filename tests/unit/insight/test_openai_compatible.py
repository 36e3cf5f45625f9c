"""The OpenAI-compatible provider against a real server on this machine."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import numpy as np
import pytest

import config
from popoff.adapters import insight as insight_module
from popoff.adapters.insight import InsightUnavailable, PostText, openai_compatible
from popoff.adapters.insight.local import LocalInsight
from popoff.adapters.insight.openai_compatible import ATTEMPTS, BATCH_TEXTS, OpenAICompatible
from popoff.kernel import clock
from popoff.kernel.errors import Unavailable
from tests.support.openai_server import Fault, openai_server


@pytest.fixture
def server():
    with openai_server() as running:
        yield running


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def provider(server, pauses):
    return OpenAICompatible(
        base_url=server.url, api_key="sk-test", embedding_model="small", speech_model="whisper", sleep=pauses.append
    )


def assert_unit_rows(rows, count):
    assert rows.shape == (count, 256)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_asks_for_256_numbers_with_key_and_model(server, provider):
    assert_unit_rows(provider.embed(["pasta recipe", "cat video"]), 2)
    (request,) = server.requests
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.json["model"] == "small"
    assert request.json["dimensions"] == 256
    assert request.json["input"] == ["pasta recipe", "cat video"]


def test_rows_answer_their_texts_in_whatever_order_they_come(server, provider):
    server.reversed_order = True
    rows = provider.embed(["pasta recipe", "cat video"])
    np.testing.assert_allclose(rows[0], server.vector("pasta recipe", 256), atol=1e-6)


def test_empty_texts_are_not_sent_and_get_zero_rows(server, provider):
    rows = provider.embed(["", "cat video", "  \n"])
    assert server.requests[0].json["input"] == ["cat video"]
    assert not rows[0].any()
    assert not rows[2].any()
    assert_unit_rows(rows[1:2], 1)
    assert provider.embed([]).shape == (0, 256)
    assert len(server.requests) == 1


def test_many_texts_go_in_batches(server, provider):
    texts = [f"caption {i}" for i in range(2 * BATCH_TEXTS + 1)]
    rows = provider.embed(texts)
    assert [len(r.json["input"]) for r in server.requests] == [BATCH_TEXTS, BATCH_TEXTS, 1]
    np.testing.assert_allclose(rows[-1], server.vector(texts[-1], 256), atol=1e-6)


def test_long_texts_are_cut(server, provider):
    provider.embed(["w " * 50_000])
    assert len(server.requests[0].json["input"][0]) <= openai_compatible.MAX_TEXT_CHARACTERS


def test_posts_are_sent_tags_first(server, provider):
    provider.embed_posts([PostText("My Sunday", ["#pasta", "home cooking"], "hello")])
    assert server.requests[0].json["input"] == ["pasta, home cooking\nMy Sunday\nhello"]


def test_reads_base64(server, provider):
    server.always_base64 = True
    np.testing.assert_allclose(provider.embed(["cat video"])[0], server.vector("cat video", 256), atol=1e-6)


def test_longer_vectors_are_projected_and_stay_comparable(server, provider):
    server.knows_dimensions = False
    texts = ["red cat plays piano", "red cat plays guitar", "quantum stock market"]
    rows = provider.embed(texts)
    assert_unit_rows(rows, 3)
    full = np.array([server.vector(text, 1536) for text in texts])
    np.testing.assert_allclose(rows @ rows.T, full @ full.T, atol=0.2)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.4
    np.testing.assert_array_equal(rows, provider.embed(texts))


def test_projection_is_the_same_for_ever():
    signs = openai_compatible._signs(1536)
    assert signs.shape == (1536, 256)
    assert signs[0, :12].astype(int).tolist() == [-1, 1, 1, -1, 1, 1, 1, -1, 1, -1, 1, -1]
    assert abs(signs.mean()) < 0.01


def test_shorter_vectors_keep_their_cosines(server, provider):
    server.knows_dimensions, server.native_dimension = False, 64
    rows = provider.embed(["red cat", "red dog"])
    assert_unit_rows(rows, 2)
    expected = server.vector("red cat", 64) @ server.vector("red dog", 64)
    assert rows[0] @ rows[1] == pytest.approx(expected, abs=1e-5)


def test_server_that_refuses_dimensions_is_asked_without_once_and_for_all(server, provider, pauses):
    server.refuses_dimensions = True
    assert_unit_rows(provider.embed(["cat"]), 1)
    assert_unit_rows(provider.embed(["dog"]), 1)
    assert ["dimensions" in r.json for r in server.requests] == [True, False, False]
    assert pauses == []


@pytest.mark.parametrize("fault", [Fault(429), Fault(500), Fault(503), Fault(0)])
def test_passing_faults_are_tried_again_with_growing_pauses(server, provider, pauses, fault):
    server.faults += [fault, fault]
    assert_unit_rows(provider.embed(["cat"]), 1)
    assert len(server.requests) == 3
    assert 0 < pauses[0] < pauses[1]


def test_the_pause_the_server_asks_for_is_kept(server, provider, pauses):
    server.faults += [Fault(429, retry_after="7"), Fault(503, retry_after="0")]
    provider.embed(["cat"])
    assert pauses == [7.0, 0.0]


def test_the_pause_may_be_a_date(server, provider, pauses):
    with clock.at(clock.now().replace(microsecond=0)):
        when = format_datetime(clock.now() + timedelta(seconds=9), usegmt=True)
        server.faults += [Fault(429, retry_after=when)]
        provider.embed(["cat"])
    assert pauses == [9.0]


def test_a_long_pause_is_left_to_the_caller(server, provider, pauses):
    server.faults += [Fault(429, retry_after="3600")]
    with pytest.raises(InsightUnavailable) as failure:
        provider.embed(["cat"])
    assert failure.value.details == {"status": 429, "retry_after": 3600.0}
    assert pauses == []
    assert len(server.requests) == 1


def test_gives_up_after_the_last_attempt(server, provider, pauses):
    server.faults += [Fault(500)] * 10
    with pytest.raises(Unavailable) as failure:
        provider.embed(["cat"])
    assert failure.value.error_code == "insight_unavailable"
    assert failure.value.details["status"] == 500
    assert len(server.requests) == ATTEMPTS
    assert len(pauses) == ATTEMPTS - 1


def test_a_wrong_key_is_not_tried_again_and_not_told(server, provider):
    server.api_key = "another"
    with pytest.raises(InsightUnavailable) as failure:
        provider.embed(["cat"])
    assert len(server.requests) == 1
    assert "sk-test" not in str(failure.value)


def test_a_slow_server_is_given_up(server, provider, monkeypatch):
    monkeypatch.setattr(provider._http, "timeout", 0.05)
    server.faults += [Fault(delay=0.3)] * ATTEMPTS
    with pytest.raises(InsightUnavailable, match="too long"):
        provider.embed(["cat"])


def test_nobody_listening_is_unavailable():
    provider = OpenAICompatible(
        base_url="http://127.0.0.1:9/v1", api_key="", embedding_model="m", speech_model="", sleep=lambda _: None
    )
    with pytest.raises(InsightUnavailable):
        provider.embed(["cat"])


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"index": 0}]}',
        b'{"data": [{"index": 1, "embedding": [1.0]}]}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": "!!"}]}',
        b'{"data": [{"index": 0, "embedding": [NaN, 1.0]}]}',
        b'{"data": [{"index": 0, "embedding": [null]}]}',
    ],
)
def test_nonsense_is_refused(server, provider, body):
    server.faults += [Fault(200, body=body)]
    with pytest.raises(InsightUnavailable):
        provider.embed(["cat"])


def test_speech_is_sent_as_a_file_and_read_back(server, provider, tmp_path):
    audio = tmp_path / "clip.m4a"
    audio.write_bytes(b"\x00sound")
    server.transcript = " hello kitchen \n"
    server.faults += [Fault(503)]
    assert provider.transcribe(audio) == "hello kitchen"
    request = server.requests[-1]
    assert request.fields["model"] == "whisper"
    assert request.files["file"] == ("speech.m4a", b"\x00sound")


def test_without_a_speech_model_nothing_is_sent(server, tmp_path):
    provider = OpenAICompatible(base_url=server.url, api_key="", embedding_model="m", speech_model="")
    assert provider.transcribe(tmp_path / "missing.m4a") is None
    assert server.requests == []


def test_speech_faults(server, provider, tmp_path):
    audio = tmp_path / "clip.m4a"
    with pytest.raises(OSError):
        provider.transcribe(audio)
    audio.write_bytes(b"sound")
    server.faults += [Fault(200, body=b'{"words": 3}')]
    with pytest.raises(InsightUnavailable):
        provider.transcribe(audio)


def test_settings_choose_the_provider(server):
    with config.override(openai_api_key="", openai_base_url=""):
        assert isinstance(insight_module.insight(), LocalInsight)
    with config.override(openai_api_key="", openai_base_url=server.url, openai_embedding_model="small"):
        chosen = insight_module.insight()
        assert chosen is insight_module.insight()
        assert chosen.dimension == insight_module.DIMENSION == 256
        assert_unit_rows(chosen.embed(["cat"]), 1)
        assert "authorization" not in server.requests[0].headers
        assert chosen.model.endswith("/small@256")
    with config.override(openai_api_key="sk", openai_base_url=""):
        assert insight_module.insight().model == "api.openai.com/text-embedding-3-small@256"


def test_models_of_different_servers_have_different_names():
    names = {
        OpenAICompatible(base_url=url, api_key="", embedding_model="m", speech_model="").model
        for url in ("", "http://one.example/v1", "http://two.example/v1")
    }
    assert len(names) == 3
