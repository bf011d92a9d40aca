"""fivebyfive: a trained LeNet becomes Verilog that agrees with its golden model bit for bit.

    >>> import fivebyfive
    >>> network = fivebyfive.load()                     # the shipped checkpoint, or load("F.npz")
    >>> logits = network.predict(images)                # golden model; images uint8 (N, 28, 28)
    >>> accelerator = network.accelerator()
    >>> accelerator.write_verilog("build/lenet")        # Verilog, .mem files, manifest
    >>> accelerator.predict(images)                     # the same logits, from the RTL

The command line (`fivebyfive.cli`) does the same. Each part has a map of its own: `fivebyfive.model` (network, golden
arithmetic), `fivebyfive.hw` (Amaranth), `fivebyfive.sim` (cocotb). In this package: `commands`, one module a command;
`output` for the terminal, tables and result files; `verify` for the long checks; `host` for the PC's end of a serial
line; `support` for errors, files and progress. Imports go one way: support, model, hw, sim, and this package.
"""

from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("fivebyfive")
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
