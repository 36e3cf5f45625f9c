"""Node for the tests that replay the phone app: found once, its packages installed once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

MINIMUM_MAJOR = 18
INSTALL_SECONDS = 120
ROOT = Path(__file__).resolve().parents[2]
PHONE = ROOT / "tests" / "e2e" / "phone"
PACKAGES = ROOT / "build" / "phone-node"


class NodeUnavailable(RuntimeError):
    """Node, npm or the packages cannot be had; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class PhoneNode:
    """A node executable together with the packages the phone replay needs."""

    executable: str
    modules: Path

    def run(self, script: str, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run `tests/e2e/phone/<script>`; `timeout` in seconds. Raises subprocess.TimeoutExpired."""
        return subprocess.run(
            [self.executable, str(PHONE / script), *arguments],
            env={**os.environ, "NODE_PATH": str(self.modules)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def phone_node() -> PhoneNode:
    """Find node and npm and install the locked packages unless they are there. Raises NodeUnavailable."""
    executable, npm = _tool("node", "nodejs"), _tool("npm")
    found = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = re.match(r"v(\d+)\.", found)
    if major is None or int(major[1]) < MINIMUM_MAJOR:
        raise NodeUnavailable(f"The phone app tests need Node {MINIMUM_MAJOR} or newer, and {executable} is {found!r}.")
    return PhoneNode(executable, _installed(npm))


def _tool(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise NodeUnavailable(
        f"The phone app tests need {names[0]} (Node {MINIMUM_MAJOR} or newer with npm), "
        "which is not installed: `apt-get install nodejs npm` brings it."
    )


def _installed(npm: str) -> Path:
    """The node_modules folder of the lock file in force. Two processes may install at once: the first one wins."""
    manifests = [PHONE / "package.json", PHONE / "package-lock.json"]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()[:16]
    home = PACKAGES / key
    if not home.exists():
        PACKAGES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PACKAGES, prefix="installing-") as folder:
            workshop = Path(folder) / "phone"
            workshop.mkdir()
            for path in manifests:
                shutil.copy(path, workshop)
            _npm_ci(npm, workshop)
            if not home.exists():
                _move(workshop, home)
    return home / "node_modules"


def _npm_ci(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NodeUnavailable(f"`{' '.join(command)}` did not end within {INSTALL_SECONDS} seconds.") from None
    if done.returncode != 0:
        raise NodeUnavailable(f"`{' '.join(command)}` failed: {done.stderr.strip()[-600:]}")


def _move(workshop: Path, home: Path) -> None:
    try:
        workshop.rename(home)
    except OSError:
        if not home.exists():
            raise
