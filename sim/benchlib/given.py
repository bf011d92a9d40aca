"""What the simulator's runner gives a bench: the design, the names of its ports, and parameters."""

import json
import os
from functools import cache
from typing import Any, TypeAlias

__all__ = ["Dut", "parameters", "ports"]

Dut: TypeAlias = Any  # cocotb's handle of the top module: its attributes are the design's own names


def parameters() -> dict[str, Any]:
    """What the caller of `fivebyfive.sim.simulator.runner.run` passed as ``parameters``."""
    return _read()["parameters"]


def ports() -> dict[str, str]:
    """Names of the design's ports, and their direction: "input" or "output".

    Icarus shows all signals of the top module, so that to have a name is not enough to be a port.
    """
    return _read()["ports"]


@cache
def _read() -> dict[str, Any]:
    with open(os.environ["FIVEBYFIVE_PARAMETERS"]) as file:
        return json.load(file)
