"""`workers.run` with the jobs of these tests: `python -m tests.integration.jobs.worker worker QUEUE...`."""

import sys

from tests.integration.jobs import stalls, tasks
from workers.run import main

if __name__ == "__main__":
    tasks.install()
    stalls.install()
    sys.exit(main(sys.argv[1:]))
