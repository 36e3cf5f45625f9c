"""`python -m benchmarks [--quick]`: every benchmark, one after the other."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("feed_growth", "gifts", "audit_verify", "period_close", "recommend")


def main() -> int:
    """The number of benchmarks that could not be run."""
    return sum(
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]).returncode != 0
        for name in BENCHMARKS
    )


if __name__ == "__main__":
    sys.exit(main())
