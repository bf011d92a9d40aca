"""cocotb benches, one module for each component; each compares with the golden model."""

import json
import os
from functools import cache

__all__ = ["inputs", "parameters"]


def parameters() -> dict:
    """What the caller of `fivebyfive.sim.runner.run` passed as ``parameters``."""
    return _read()["parameters"]


def inputs() -> list[str]:
    """Names of the input ports of the design."""
    return _read()["inputs"]


@cache
def _read() -> dict:
    with open(os.environ["FIVEBYFIVE_PARAMETERS"]) as file:
        return json.load(file)
