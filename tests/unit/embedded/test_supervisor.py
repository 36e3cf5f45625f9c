"""The supervisor: keeps programs running, stops them in order, leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from popoff import supervisor
from popoff.embedded import host
from tests.unit.embedded.helpers import PROJECT, eventually, is_running, kill_all

SUPERVISE = """
import json, os, sys
from functools import partial
from pathlib import Path
from popoff.supervisor import Program, supervise
folder, specs = Path(sys.argv[1]), json.loads(sys.argv[2])
def note(name):
    (folder / name).write_text("")
code = supervise(
    [Program(**spec) for spec in specs],
    on_ready=lambda: note("ready"),
    is_ready=lambda: not (folder / "wait").exists(),
    each_second=lambda: note("ticked"),
)
sys.exit(code)
"""
# each writes its process id, then waits; what it is told goes to the file `log`
OBEDIENT = "trap 'echo {name} >> log; exit 0' TERM; echo $$ >> {name}; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo $$ >> {name}; while :; do sleep 0.05; done"
MORTAL = "echo $$ >> {name}; [ $(wc -l < {name}) -gt 2 ] && exec sleep 60; exit 3"
WITH_GRANDCHILD = "setsid sleep 60 & echo $! >> {name}; echo $$ >> {name}; wait"


class Supervised:
    """A process that supervises shell scripts, with the files they write."""

    def __init__(self, folder: Path, scripts: dict[str, str], grace: float) -> None:
        self.folder, self.names = folder, list(scripts)
        specs = [
            {"name": name, "argv": ["sh", "-c", f"cd {folder}; {script.format(name=name)}"], "grace_seconds": grace}
            for name, script in scripts.items()
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, str(folder), json.dumps(specs)],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )
        for name in scripts:
            eventually(partial(self.pids, name))

    def pids(self, name: str) -> list[int]:
        path = self.folder / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def all_pids(self) -> list[int]:
        return [
            pid for path in self.folder.iterdir() if path.name not in ("log", "wait") for pid in self.pids(path.name)
        ]


Start = Callable[..., Supervised]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Supervised] = []

    def start_one(grace: float = 5.0, **scripts: str) -> Supervised:
        started.append(Supervised(tmp_path, scripts, grace))
        return started[-1]

    yield start_one
    for one in started:
        kill_all([one.process.pid, *one.all_pids()])
        one.process.wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stops_in_reverse_order(start: Start, tmp_path: Path, signum: int) -> None:
    one = start(web=OBEDIENT, worker=OBEDIENT, scheduler=OBEDIENT)
    one.process.send_signal(signum)
    assert one.process.wait(10) == 0
    assert (tmp_path / "log").read_text().split() == ["scheduler", "worker", "web"]
    assert not any(map(is_running, one.all_pids()))


def test_starts_again_what_died(start: Start) -> None:
    one = start(mortal=MORTAL, web=OBEDIENT)
    eventually(lambda: len(one.pids("mortal")) == 3)
    time.sleep(0.2)
    assert is_running(one.pids("mortal")[-1])
    assert len(one.pids("web")) == 1


def test_waits_longer_after_each_death_and_forgets_them_after_a_minute() -> None:
    delay, waits = supervisor.FIRST_DELAY, []
    for _ in range(7):
        wait, delay = supervisor.delays(delay, lived=1.0)
        waits.append(wait)
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]
    assert supervisor.delays(delay, lived=60.0) == (0.5, 1.0)


def test_kills_what_does_not_stop_in_time(start: Start) -> None:
    one = start(grace=0.5, web=OBEDIENT, stubborn=STUBBORN)
    one.process.terminate()
    assert one.process.wait(5) == 0
    assert not any(map(is_running, one.all_pids()))


def test_a_second_signal_kills_at_once_but_an_echo_of_the_first_does_not(start: Start) -> None:
    one = start(grace=60, stubborn=STUBBORN)
    one.process.send_signal(signal.SIGINT)
    one.process.send_signal(signal.SIGTERM)  # as make passes on
    time.sleep(supervisor.ONE_KEYPRESS + 0.2)
    assert is_running(one.pids("stubborn")[0])
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(5) == 1
    assert not any(map(is_running, one.all_pids()))


def test_ctrl_c_in_a_terminal_does_not_reach_the_programs(start: Start) -> None:
    one = start(web=OBEDIENT)
    sessions = {os.getsid(pid) for pid in one.pids("web")}
    assert os.getsid(one.process.pid) not in sessions


def test_ready_is_told_once_it_is_true(start: Start, tmp_path: Path) -> None:
    (tmp_path / "wait").write_text("")
    start(web=OBEDIENT)
    eventually((tmp_path / "ticked").exists)
    assert not (tmp_path / "ready").exists()
    (tmp_path / "wait").unlink()
    eventually((tmp_path / "ready").exists)
    (tmp_path / "ready").unlink()
    time.sleep(0.5)
    assert not (tmp_path / "ready").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_runner_however_it_ends(start: Start, how: int) -> None:
    one = start(parent=WITH_GRANDCHILD, stubborn=STUBBORN, grace=0.3)
    eventually(lambda: len(one.pids("parent")) == 2)
    one.process.send_signal(how)
    one.process.wait(10)
    eventually(lambda: not any(map(is_running, one.all_pids())), supervisor.WATCHDOG_GRACE + 5)


def test_what_a_dead_program_left_is_ended_before_it_starts_again(start: Start) -> None:
    one = start(parent=WITH_GRANDCHILD)
    grandchild, parent = eventually(lambda: pids if len(pids := one.pids("parent")) == 2 else [])
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: len(one.pids("parent")) == 4)
    assert not is_running(grandchild)


def test_a_program_that_cannot_be_started_does_not_stop_the_others(start: Start, tmp_path: Path) -> None:
    specs = [
        {"name": "missing", "argv": [str(tmp_path / "missing")]},
        {"name": "web", "argv": ["sh", "-c", f"cd {tmp_path}; {OBEDIENT.format(name='web')}"]},
    ]
    one = start(web=OBEDIENT)  # for its cleaning up
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(tmp_path), json.dumps(specs)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: len(one.pids("web")) == 2)
    process.terminate()
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "missing cannot be started" in said


def test_the_lock_is_held_until_the_watchdog_has_cleaned_up(tmp_path: Path) -> None:
    script = """
import os, sys
from functools import partial
from pathlib import Path
from popoff.embedded import host
from popoff.supervisor import Program, supervise
home = Path(sys.argv[1]); (home / "run").mkdir()
with host.only_runner(home) as lock:
    stubborn = Program("stubborn", ["sh", "-c", "trap '' TERM; echo $$ > %s/pid; while :; do sleep 0.05; done" % home])
    supervise([stubborn], hold_fds=[lock])
"""
    runner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    pid = int(eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    runner.kill()
    runner.wait()
    with host.only_runner(tmp_path):
        assert not is_running(pid)
