"""The limits hold: each test lets a child break one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from popoff.media.failures import MediaFailure
from workers import sandbox
from workers.sandbox import Finished, Limits

ROOT = Path(__file__).resolve().parents[3]
LIMITS = Limits(cpu_seconds=10, wall_seconds=10, memory_bytes=1024**3, file_bytes=1024**2)


def python(code: str, folder: Path, **changes: object) -> Finished:
    limits = replace(LIMITS, **changes)  # type: ignore[arg-type]
    return sandbox.run([sys.executable, "-I", "-S", "-c", code], folder=folder, limits=limits)


def code_of(code: str, folder: Path, **changes: object) -> str:
    with pytest.raises(MediaFailure) as caught:
        python(code, folder, **changes)
    return caught.value.code


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting a little for it."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_it_runs_in_the_folder_and_answers_what_was_printed(tmp_path: Path) -> None:
    done = python("import os, sys; print(os.getcwd()); print('why', file=sys.stderr); sys.exit(3)", tmp_path)
    assert done.stdout.decode().strip() == str(tmp_path)
    assert done.stderr.strip() == "why"
    assert done.returncode == 3


def test_nothing_of_our_environment_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "very secret")
    monkeypatch.setenv("LD_PRELOAD", "")
    names = set(python("import os; print(*os.environ)", tmp_path).stdout.decode().split())
    assert names <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE"}


def test_the_settings_of_the_kernel(tmp_path: Path) -> None:
    code = (
        "import resource as r, os;"
        "print(r.getrlimit(r.RLIMIT_CORE)[1], r.getrlimit(r.RLIMIT_DATA)[1], r.getrlimit(r.RLIMIT_FSIZE)[1],"
        " r.getrlimit(r.RLIMIT_NOFILE)[1], r.getrlimit(r.RLIMIT_CPU)[0], os.getpid() == os.getpgid(0));"
        "print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])"
    )
    words = python(code, tmp_path).stdout.decode().split()
    assert words == ["0", str(1024**3), str(1024**2), "256", "10", "True", "1"]


def test_cpu_time_is_limited(tmp_path: Path) -> None:
    assert code_of("while True: pass", tmp_path, cpu_seconds=1) == "resource_limit"


def test_memory_is_limited(tmp_path: Path) -> None:
    assert code_of("x = bytearray(2 * 1024**3)", tmp_path) == "resource_limit"


def test_the_size_of_files_is_limited(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('big', 'wb').write(bytes(2 * 1024**2))"
    assert code_of(code, tmp_path) == "resource_limit"
    assert (tmp_path / "big").stat().st_size <= 1024**2


def test_the_number_of_open_files_is_limited(tmp_path: Path) -> None:
    done = python("held = [open('/dev/null') for _ in range(300)]", tmp_path)
    assert done.returncode == 1
    assert "Too many open files" in done.stderr


def test_the_clock_on_the_wall_is_limited(tmp_path: Path) -> None:
    began = time.monotonic()
    assert code_of("import time; time.sleep(60)", tmp_path, wall_seconds=0.5) == "timeout"
    assert time.monotonic() - began < 5


def test_closing_its_pipes_does_not_save_a_child(tmp_path: Path) -> None:
    assert code_of("import os, time; os.close(1); os.close(2); time.sleep(60)", tmp_path, wall_seconds=0.5) == "timeout"


def test_output_is_limited(tmp_path: Path) -> None:
    assert code_of("print('x' * 3_000_000)", tmp_path) == "resource_limit"


def test_only_the_end_of_the_errors_is_kept(tmp_path: Path) -> None:
    done = python("import sys; sys.stderr.write('x' * 100_000 + 'end')", tmp_path)
    assert done.stderr.endswith("xend")
    assert len(done.stderr) <= 8192


def test_what_the_child_started_dies_with_it(tmp_path: Path) -> None:
    code = "import os, time; pid = os.fork(); (os.close(1), os.close(2), time.sleep(60)) if not pid else print(pid)"
    assert gone(int(python(code, tmp_path).stdout))


def test_it_has_no_network_where_the_kernel_lets_us_take_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = f"socket.create_connection(('127.0.0.1', {port}))"
        done = python(f"import os, socket; print(os.readlink('/proc/self/ns/net')); {reach}", tmp_path)
    if done.stdout.decode().strip() == os.readlink("/proc/self/ns/net"):
        pytest.skip("this kernel does not let us take the network away; the protocol whitelist holds alone")
    assert done.returncode == 1
    assert "unreachable" in done.stderr


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """A parent that is killed cannot clean up, so the kernel does."""
    inner = "import os, time; open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'ready'); time.sleep(60)"
    outer = (
        "import sys; from pathlib import Path; from workers.sandbox import run, Limits;"
        "limits = Limits(cpu_seconds=60, wall_seconds=60, memory_bytes=2**30);"
        f"run([sys.executable, '-I', '-S', '-c', {inner!r}], folder=Path({str(tmp_path)!r}), limits=limits)"
    )
    parent = subprocess.Popen([sys.executable, "-c", outer], cwd=ROOT)
    ready = tmp_path / "ready"
    deadline = time.monotonic() + 20
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(ready.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(child)


def test_progress_is_heard_as_seconds_even_in_pieces(tmp_path: Path) -> None:
    heard: list[float] = []
    code = (
        "import sys, time\n"
        "pieces = 'out_time_us=N/A|out_ti', 'me_us=500000|speed=1x|out_time_us=-5|', 'out_time_us=1500000|'\n"
        "for piece in pieces:\n"
        "    piece = piece.replace('|', chr(10))\n"
        "    sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.05)\n"
    )
    program = [sys.executable, "-I", "-S", "-c", code]
    sandbox.run(program, folder=tmp_path, limits=LIMITS, on_progress=heard.append)
    assert heard == [0.5, 1.5]


def test_a_callback_that_raises_stops_the_child(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(seconds: float) -> None:
        raise Stop

    code = (
        "import os, time; open('pid', 'w').write(str(os.getpid()));"
        "print('out_time_us=1000000', flush=True); time.sleep(60)"
    )
    program = [sys.executable, "-I", "-S", "-c", code]
    with pytest.raises(Stop):
        sandbox.run(program, folder=tmp_path, limits=LIMITS, on_progress=stop)
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_does_not_exist_is_no_success(tmp_path: Path) -> None:
    done = sandbox.run(["/nowhere/ffmpeg"], folder=tmp_path, limits=LIMITS)
    assert done.returncode != 0
    assert "No such file" in done.stderr
