"""A job's process whose tools answer at once: ``python fake_job.py JOB.json``, in place of `sim.job`.

The files in the folder $FAKE_JOBS tell what happens: ``die`` (the first process to see it takes it away and dies),
``fail`` (the tool fails, with its text), ``differ`` (the RTL does), ``slow`` (a synthesis takes for ever, and makes
``begun``). Each job that is done leaves a line in ``done``.
"""

import os
import signal
import sys
import time
from pathlib import Path

from fivebyfive.sim.fpga.nextpnr import ToolFailed
from fivebyfive.sim.jobs import compare_jobs, job, measurement_jobs
from fivebyfive.sim.simulator.process import RtlDiffers

FOLDER = Path(os.environ["FAKE_JOBS"])


def misbehave(job) -> None:
    if (FOLDER / "fail").exists():
        raise ToolFailed((FOLDER / "fail").read_text())
    if (FOLDER / "differ").exists() and isinstance(job, compare_jobs.RtlRun):
        raise RtlDiffers((FOLDER / "differ").read_text())
    try:
        (FOLDER / "die").unlink()
    except FileNotFoundError:
        pass
    else:
        os.kill(os.getpid(), signal.SIGKILL)
    with (FOLDER / "done").open("a") as file:
        print(job, file=file)


def synthesis(job: measurement_jobs.Synthesis) -> dict:
    while (FOLDER / "slow").exists() and job.config.fc_rows > 1:
        (FOLDER / "begun").touch()
        time.sleep(0.1)
    misbehave(job)
    size = job.config.multipliers
    area = {"lut": 1_000 + 50 * size, "lutram": 100, "ff": 2_000 + 100 * size, "dsp": size, "bram": 40}
    memories = {"conv.weights": 7, "fc.weights": 30, "fc.activations": 3}
    return area | {"family": job.family, "cells": {}, "memories": memories, "tools": ["fake yosys"]}


def routing(job: measurement_jobs.Routing) -> dict:
    misbehave(job)
    speed = 100.0 + 10 * job.seed
    path = {"path": ["a", "b"], "path_ns": 9.0, "logic_ns": 4.0}
    return {"fmax_mhz": speed, **path, "seed": job.seed, "tools": ["fake nextpnr"]}


def trial(job: compare_jobs.RtlRun) -> dict:
    misbehave(job)
    return {"conv": 900, "fc": 300, "latency": 1_200, "interval": 1_000.0, "images": job.images, "tools": ["fake"]}


if __name__ == "__main__":
    measurement_jobs.synthesis_result, measurement_jobs.routing_result = synthesis, routing
    compare_jobs.rtl_run_result = trial
    sys.exit(job.main())
