"""The command line; the script $FAULTS_JOB does units of work where that is set: ``python command.py WORDS``."""

import os
import sys

from fivebyfive.cli import main
from fivebyfive.sim.jobs import workers

if __name__ == "__main__":
    if script := os.environ.get("FAULTS_JOB"):
        workers.COMMAND = (sys.executable, "-P", script)
    main()
