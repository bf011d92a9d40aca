"""fivebyfive: a trained LeNet becomes Verilog that agrees with its golden model bit for bit.

    >>> import fivebyfive
    >>> network = fivebyfive.load()                     # the shipped checkpoint, or load("F.npz")
    >>> logits = network.predict(images)                # golden model; images uint8 (N, 28, 28)
    >>> accelerator = network.accelerator()
    >>> accelerator.write_verilog("build/lenet")        # Verilog, .mem files, manifest
    >>> accelerator.predict(images)                     # the same logits, from the RTL

The command line (`fivebyfive.cli`) says the same. Below this face are three rooms, each with a map of its
own: `fivebyfive.model` (network, golden arithmetic), `fivebyfive.hw` (Amaranth), `fivebyfive.sim` (cocotb).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fivebyfive.model.machine.config import Config
    from fivebyfive.support.errors import UserError

    from .api import Accelerator, Network, load

__all__ = ["Accelerator", "Config", "Network", "UserError", "load"]

# Looked up at first use: neither --help nor reading a checkpoint should wait for Amaranth and cocotb.
HOMES = {
    "Accelerator": "fivebyfive.api",
    "Config": "fivebyfive.model.machine.config",
    "Network": "fivebyfive.api",
    "UserError": "fivebyfive.support.errors",
    "load": "fivebyfive.api",
}


def __getattr__(name: str):
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
