"""cocotb benches, one module for each component; each compares with the golden model."""

import json
import os
from functools import cache

__all__ = ["parameters", "ports"]


def parameters() -> dict:
    """What the caller of `fivebyfive.sim.simulator.runner.run` passed as ``parameters``."""
    return _read()["parameters"]


def ports() -> dict[str, str]:
    """Names of the design's ports, and their direction: "input" or "output".

    Icarus shows all signals of the top module, so that to have a name is not enough to be a port.
    """
    return _read()["ports"]


@cache
def _read() -> dict:
    with open(os.environ["FIVEBYFIVE_PARAMETERS"]) as file:
        return json.load(file)
