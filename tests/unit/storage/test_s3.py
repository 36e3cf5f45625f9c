"""What can be known about the S3 store without a server; the rest is in the contract suite."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from popoff.adapters.storage import ObjectNotFound, S3Store, Store, StoreUnavailable
from popoff.kernel import clock

CREDENTIALS = {"access_key_id": "id", "secret_access_key": "key"}


@pytest.fixture
def store() -> S3Store:
    chosen: Store = S3Store("bucket", endpoint_url="http://127.0.0.1:9", **CREDENTIALS)
    assert isinstance(chosen, S3Store)
    return chosen


@pytest.fixture
def stub(store: S3Store) -> Iterator[Stubber]:
    with Stubber(store._client) as stubber:
        yield stubber


def test_the_client_gives_up_in_time(store: S3Store) -> None:
    chosen: Any = store._client.meta.config
    assert (chosen.connect_timeout, chosen.read_timeout) == (3, 30)
    assert chosen.retries == {"mode": "standard", "total_max_attempts": 3}
    probe: Any = store._probe.meta.config
    assert probe.connect_timeout + probe.read_timeout <= 3 and probe.retries["total_max_attempts"] == 1


def test_a_link_asks_for_no_header_but_content_type(store: S3Store) -> None:
    url = urlsplit(store.sign_put("a/b", content_type="video/mp4", max_bytes=9, expires_seconds=60).url)
    query = parse_qs(url.query)
    assert url.path == "/bucket/a/b"
    assert query["X-Amz-SignedHeaders"] == ["content-type;host"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert not [name for name in query if "checksum" in name.lower()]
    exact = store.sign_put("a/b", content_type="video/mp4", max_bytes=9, exact_bytes=9, expires_seconds=60).url
    assert parse_qs(urlsplit(exact).query)["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    part = store.sign_part("a/b", "id", 1, max_bytes=9, expires_seconds=60).url
    assert parse_qs(urlsplit(part).query)["X-Amz-SignedHeaders"] == ["host"]


def test_without_an_endpoint_links_lead_to_the_region() -> None:
    url = S3Store("bucket", region="eu-central-1", **CREDENTIALS).sign_get("a", expires_seconds=60)
    assert url.startswith("https://bucket.s3.eu-central-1.amazonaws.com/a?")
    dotted = S3Store("bucket.example", region="eu-central-1", **CREDENTIALS).sign_get("a", expires_seconds=60)
    assert dotted.startswith("https://s3.eu-central-1.amazonaws.com/bucket.example/a?")


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "SignatureDoesNotMatch", "SlowDown", "InternalError"])
def test_what_only_an_operator_can_mend_is_unavailable(store: S3Store, stub: Stubber, code: str) -> None:
    stub.add_client_error("get_object", code)
    with pytest.raises(StoreUnavailable) as caught:
        store.read("a", 9)
    assert code not in str(caught.value)


def test_a_failed_deletion_is_not_passed_over(store: S3Store, stub: Stubber) -> None:
    stub.add_response("delete_objects", {"Errors": [{"Key": "a", "Code": "AccessDenied"}]})
    stub.add_response("delete_objects", {"Errors": [{"Key": "a", "Code": "NoSuchKey"}]})
    with pytest.raises(StoreUnavailable):
        store.delete(["a"])
    store.delete(["a"])


def test_deletions_go_in_batches(store: S3Store, stub: Stubber) -> None:
    names = [f"k/{n}" for n in range(1001)]
    for batch in (names[:1000], names[1000:]):
        wanted = {"Bucket": "bucket", "Delete": {"Objects": [{"Key": name} for name in batch], "Quiet": True}}
        stub.add_response("delete_objects", {}, wanted)
    store.delete(iter(names))
    stub.assert_no_pending_responses()


def body(read: Callable[[int], bytes]) -> StreamingBody:
    raw = io.BytesIO()
    raw.read = read  # type: ignore[method-assign,assignment]
    return StreamingBody(raw, 10)


def test_a_stream_that_breaks_is_unavailable_and_leaves_no_file(store: S3Store, stub: Stubber, tmp_path: Path) -> None:
    def timeout(_: int) -> bytes:
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1:9")

    for read in (timeout, lambda _: b""):
        answer = {"Body": body(read), "ContentLength": 10, "ETag": '"e"', "LastModified": clock.now()}
        stub.add_response("get_object", answer)
        target = tmp_path / "out"
        with pytest.raises(StoreUnavailable):
            store.download("a", target)
        assert not target.exists()


@pytest.mark.parametrize(
    "error",
    [EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), ConnectionClosedError(endpoint_url="http://x")],
)
def test_a_store_that_does_not_answer_is_unavailable(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(store._client, "head_object", fail)
    with pytest.raises(StoreUnavailable):
        store.stat("a")


def test_check_fails_fast_when_nobody_listens(store: S3Store) -> None:
    with pytest.raises(StoreUnavailable):
        store.check()


def test_half_of_the_credentials_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        S3Store("bucket", access_key_id="id")


def test_a_missing_source_of_a_copy(store: S3Store, stub: Stubber) -> None:
    stub.add_client_error("copy_object", "NoSuchKey")
    with pytest.raises(ObjectNotFound):
        store.copy("a", "b")
