"""Faults of a running platform: engines that hang or die, programs that are killed, the power cut.

One platform of its own goes through most of them, one after another; a second one runs beside it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from popoff.embedded.host import free_port
from tests.support import faults, live
from tests.support.clips import ffmpeg, picture, sound
from tests.support.faults import Visitor, until

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.timeout(240)]

ANSWER_SECONDS = 3.0
STOP_SECONDS = 20.0
HANG_SECONDS = 6.0
SHORT, LONG = 2, 12  # seconds of film


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A film that is transcoded in a moment, and one that keeps a worker busy for a while."""
    folder = tmp_path_factory.mktemp("films")
    fast = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    made = {}
    for seconds, size in ((SHORT, "360x640"), (LONG, "720x1280")):
        made[seconds] = folder / f"{seconds}.mp4"
        ffmpeg(*picture(size, "24", seconds), *sound(seconds), *fast, made[seconds])
    return made


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Platform]:
    """A platform beside the first, in another folder on another port; started while the first starts."""
    started = live.start(tmp_path_factory.mktemp("second") / "home")
    yield started
    faults.kill_all(started.home)


@pytest.fixture(scope="module")
def first(second: live.Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Platform]:
    started = live.start(tmp_path_factory.mktemp("first") / "home")
    started.wait_ready()
    yield started
    faults.kill_all(started.home)


@pytest.fixture(scope="module")
def ada(first: live.Platform) -> Visitor:
    return Visitor(first.base_url, "ada")


@pytest.fixture(scope="module")
def some_post(ada: Visitor, clips: dict[int, Path]) -> int:
    post_id = ada.post(clips[SHORT])
    until(lambda: ada.stage(post_id) == "ready", 30, "a first post")
    return post_id


@pytest.fixture(scope="module")
def post_of_a_killed_worker(first: live.Platform, some_post: int, ada: Visitor, clips: dict[int, Path]) -> int:
    """A post in whose middle the worker was killed. Its job is missed half a minute later: meanwhile others go on."""
    post_id = ada.post(clips[LONG])
    until(lambda: ada.status(post_id).get("progress", 0) > 0, 30, "the transcoding to begin")
    os.kill(faults.main_process(first.home, "worker-media-1"), signal.SIGKILL)
    assert ada.stage(post_id) in ("probing", "transcoding")
    return post_id


def test_requests_go_on_while_redis_hangs_and_their_jobs_run_afterwards(
    first: live.Platform, ada: Visitor, post_of_a_killed_worker: int, some_post: int, clips: dict[int, Path]
) -> None:
    posts = []
    ada.slowest = 0.0
    with faults.stopped(faults.redis_pid(first.home)):
        until_then = time.monotonic() + HANG_SECONDS
        while time.monotonic() < until_then:
            posts.append(ada.post(clips[SHORT], "posted while Redis hung"))
            assert ada.comment(some_post, f"number {len(posts)}") == 200
            time.sleep(1.5)
        status, parts = first.readiness()
        assert (status, parts["database"]) == (503, "ok")
        assert parts["redis"].startswith("unavailable")
    assert len(posts) >= 3
    assert ada.slowest < ANSWER_SECONDS
    until(lambda: all(ada.stage(post_id) == "ready" for post_id in posts), 60, "the posts to be ready")


def test_a_redis_that_was_killed_is_started_again_and_no_job_is_lost(
    first: live.Platform, ada: Visitor, clips: dict[int, Path]
) -> None:
    killed = faults.redis_pid(first.home)
    ada.slowest = 0.0
    os.kill(killed, signal.SIGKILL)
    posts = [ada.post(clips[SHORT], "posted without Redis") for _ in range(2)]
    assert ada.slowest < ANSWER_SECONDS
    until(lambda: all(ada.stage(post_id) == "ready" for post_id in posts), 40, "the posts to be ready")
    assert faults.redis_pid(first.home) != killed
    assert first.tail(1_000_000).count("queue_away") < 60, "an outage is told, not shouted"
    until(lambda: first.readiness()[0] == 200, 30, "the platform to be ready")


def test_a_database_that_was_killed_comes_back_with_everything_that_was_acknowledged(
    first: live.Platform, ada: Visitor, some_post: int
) -> None:
    web = faults.family(first.home, "web")
    killed = faults.postgres_pid(first.home)
    eve = Visitor(first.base_url, "eve")
    acknowledged: list[str] = []
    liked: list[bool] = []
    over = threading.Event()

    def comment() -> None:
        for number in range(10_000):
            if over.is_set():
                return
            if ada.comment(some_post, f"comment {number}") == 200:
                acknowledged.append(f"comment {number}")
            time.sleep(0.02)

    def like() -> None:
        while not over.is_set():
            wanted = not (liked and liked[-1])
            if eve.like(some_post, wanted) == 200:
                liked.append(wanted)
            time.sleep(0.02)

    visitors = [threading.Thread(target=comment), threading.Thread(target=like)]
    for visitor in visitors:
        visitor.start()
    until(lambda: len(acknowledged) > 5 and len(liked) > 5, 10, "the visitors")
    os.kill(killed, signal.SIGKILL)
    before = len(acknowledged)
    until(lambda: len(acknowledged) > before + 10, 30, "requests to succeed again")
    over.set()
    for visitor in visitors:
        visitor.join()
    assert faults.postgres_pid(first.home) != killed
    assert faults.family(first.home, "web") == web
    kept = ada.comments(some_post)
    assert set(acknowledged) <= set(kept)
    assert len(set(kept)) == len(kept)
    # A like that was cut off before its answer may count or not; said once more, it counts once.
    assert eve.like(some_post, True) == 200
    cards = ada.send("GET", "/api/media/get_user_posts/", params={"username": "ada"}).json()["posts"]
    (card,) = [card for card in cards if card["id"] == some_post]
    assert card["likes"] == 1


def test_a_web_server_that_was_killed_is_started_again(first: live.Platform, ada: Visitor) -> None:
    killed = faults.family(first.home, "web")
    os.kill(faults.main_process(first.home, "web"), signal.SIGKILL)
    until(lambda: not killed & faults.family(first.home, "web"), 10, "the end of the old processes")
    until(lambda: ada.send("GET", "/api/auth/check_token/").status_code == 200, 30, "the web server")
    assert first.process.poll() is None


def test_numbers_of_all_web_processes_are_added_up(first: live.Platform) -> None:
    def answered() -> float:
        text = httpx.get(f"{first.base_url}/metrics").raise_for_status().text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        counted = {str(sample.labels): sample.value for sample in samples if sample.name.endswith("requests_total")}
        (here,) = [value for labels, value in counted.items() if "'/healthz'" in labels]
        return here

    httpx.get(f"{first.base_url}/healthz").raise_for_status()
    before = answered()
    for _ in range(20):  # each on a connection of its own, so that all processes get some
        httpx.get(f"{first.base_url}/healthz").raise_for_status()
    assert answered() == before + 20


def test_a_second_start_on_the_same_folder_is_refused_in_one_sentence(first: live.Platform) -> None:
    code, said = faults.run_to_end(first.home, PORT=str(free_port()))
    assert code == 1
    *_, last = said.strip().splitlines()
    assert last == (
        f"Error: PopOff already runs on {first.home} (process {first.process.pid}): "
        "stop it first, or set POPOFF_HOME and PORT to run a second one."
    )
    assert "Traceback" not in said
    assert first.readiness()[0] == 200


def test_a_port_that_is_taken_is_refused_in_one_sentence(first: live.Platform, tmp_path: Path) -> None:
    port = first.base_url.rpartition(":")[2]
    code, said = faults.run_to_end(tmp_path / "third", PORT=port)
    assert code == 1
    assert said.strip().splitlines()[-1] == (
        f"Error: Port {port} on 127.0.0.1 cannot be used (Address already in use): set PORT to another one."
    )
    assert "Traceback" not in said
    assert faults.processes_of(tmp_path / "third") == []


def test_two_platforms_live_side_by_side(
    first: live.Platform, second: live.Platform, ada: Visitor, clips: dict[int, Path]
) -> None:
    second.wait_ready()
    zoe = Visitor(second.base_url, "zoe")
    post_id = zoe.post(clips[SHORT])
    until(lambda: zoe.stage(post_id) == "ready", 30, "the post of the second platform")
    strangers = zoe.send("GET", "/api/media/get_user_posts/", params={"username": "ada"})
    assert strangers.status_code == 404
    foreign = httpx.get(f"{second.base_url}/api/auth/check_token/", headers=dict(ada.client.headers))
    assert foreign.status_code == 401


def test_ctrl_c_stops_a_platform_in_order(second: live.Platform, first: live.Platform) -> None:
    second.wait_ready()
    started = time.monotonic()
    assert second.stop(signal.SIGINT) == 0
    assert time.monotonic() - started < STOP_SECONDS
    assert faults.processes_of(second.home) == []
    assert second.tail().endswith("PopOff has stopped\n")
    assert first.readiness()[0] == 200


def test_one_worker_runs_this_file_in_its_order(request: pytest.FixtureRequest, worker_id: str) -> None:
    """Groups are the work of pytest-xdist, and not every release of pytest lets it."""
    assert request.node.nodeid.endswith("@live") or worker_id == "master"


def test_a_stop_during_the_start_is_in_order_too(second: live.Platform) -> None:
    written = len(second.log.read_text())
    again = live.start(second.home)
    again.wait_said("database up to date", since=written)
    assert again.stop(signal.SIGTERM) == 0
    assert faults.processes_of(second.home) == []
    assert "Traceback" not in again.tail()


def test_the_post_of_a_killed_worker_gets_ready(ada: Visitor, post_of_a_killed_worker: int) -> None:
    until(lambda: ada.stage(post_of_a_killed_worker) == "ready", 60, "the post to be ready")


def test_after_a_power_cut_all_is_there_and_what_was_begun_is_finished(
    first: live.Platform, ada: Visitor, some_post: int, clips: dict[int, Path]
) -> None:
    post_id = ada.post(clips[LONG], "cut off")
    assert ada.comment(some_post, "just before") == 200
    until(lambda: ada.status(post_id).get("progress", 0) > 0, 30, "the transcoding to begin")
    faults.kill_all(first.home)
    first.process.wait()
    assert list((first.home / "work").iterdir()), "the film was cut off in the middle"
    again = live.start(first.home, int(first.base_url.rpartition(":")[2]))
    first.process = again.process
    again.wait_ready(40)
    assert "just before" in ada.comments(some_post)
    assert ada.stage(some_post) == "ready"
    until(lambda: ada.stage(post_id) == "ready", 60, "the post to be ready")
    until(lambda: not list((first.home / "work").iterdir()), 10, "the leftovers to be gone")


def test_sigterm_stops_a_busy_platform_in_order_and_soon(
    first: live.Platform, ada: Visitor, clips: dict[int, Path]
) -> None:
    post_id = ada.post(clips[LONG], "stopped")
    until(lambda: ada.status(post_id).get("progress", 0) > 0, 30, "the transcoding to begin")
    started = time.monotonic()
    assert first.stop(signal.SIGTERM) == 0
    assert time.monotonic() - started < STOP_SECONDS
    assert faults.processes_of(first.home) == []
    assert list((first.home / "work").iterdir()) == []
    assert "Traceback" not in first.tail()
