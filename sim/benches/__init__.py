"""cocotb benches, one module a component, in rooms as in `fivebyfive.hw`; each compares with the golden model."""

import json
import os
from functools import cache
from pathlib import Path

__all__ = ["find_bench", "parameters", "ports"]


def parameters() -> dict:
    """What the caller of `fivebyfive.sim.simulator.runner.run` passed as ``parameters``."""
    return _read()["parameters"]


def ports() -> dict[str, str]:
    """Names of the design's ports, and their direction: "input" or "output".

    Icarus shows all signals of the top module, so that to have a name is not enough to be a port.
    """
    return _read()["ports"]


def find_bench(component: str) -> str:
    """Full name of the module with the bench of a component, which has the name of the component's own module.

    Raises ModuleNotFoundError where there is none.
    """
    room = Path(__file__).parent
    for path in room.rglob(f"{component}.py"):
        return ".".join([__name__, *path.relative_to(room).with_suffix("").parts])
    raise ModuleNotFoundError(f"no bench named {component} in {room.name}")


@cache
def _read() -> dict:
    with open(os.environ["FIVEBYFIVE_PARAMETERS"]) as file:
        return json.load(file)
