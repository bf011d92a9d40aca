"""cocotb benches, one module for each component; each compares with the golden model."""

import json
import os
from functools import cache

__all__ = ["parameters"]


@cache
def parameters() -> dict:
    """What the caller of `fivebyfive.sim.runner.run` passed as ``parameters``."""
    with open(os.environ["FIVEBYFIVE_PARAMETERS"]) as file:
        return json.load(file)
