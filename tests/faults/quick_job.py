"""A job's process whose synthesis for xc7 is a few passes of Yosys instead of all: ``python quick_job.py JOB.json``.

Where it is killed matters here, not what comes out: it takes two seconds instead of twelve.
"""

import sys
from dataclasses import replace

from fivebyfive.sim.fpga.synthesis import FAMILIES
from fivebyfive.sim.jobs import job

PASSES = ("hierarchy -top {top}", "proc", "flatten", "opt_clean")

if __name__ == "__main__":
    FAMILIES["xc7"] = replace(FAMILIES["xc7"], commands=PASSES, lut={r"\$.*": 1})
    sys.exit(job.main())
