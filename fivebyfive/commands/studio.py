"""The command studio: a page on which digits go through the machine."""

from dataclasses import dataclass, replace
from pathlib import Path

import click

from fivebyfive.model.machine.sizing import Size
from fivebyfive.support.optional import require

__all__ = ["StudioRequest", "run_studio"]

EXTRA = "studio"
NEEDED = {"starlette": "Starlette", "uvicorn": "uvicorn"}


@dataclass(frozen=True)
class StudioRequest:
    """``checkpoint`` and ``size`` of the first machine; ``port``, 0 for a free one; ``browser``: whether one is
    opened."""

    checkpoint: Path
    size: Size
    port: int
    browser: bool


def run_studio(request: StudioRequest) -> None:
    """Serve the page until interrupted. Raises UserError where the checkpoint, the size or the port cannot be used, or
    a package is missing."""
    for module, name in NEEDED.items():
        require(module, "studio needs", name, EXTRA)
    from fivebyfive.sim.simulator.simulators import find
    from fivebyfive.studio.inputs import Catalog
    from fivebyfive.studio.serve import serve

    find("verilator")  # what is missing is better known before the page is open
    catalog = Catalog(request.checkpoint)
    config = request.size.config(catalog[catalog.first])
    pes, rows = max(1, config.windows * config.outputs), max(1, config.fc_rows)
    size = replace(request.size, conv_pes=pes, fc_rows=rows, multipliers=None, dsps=None, fps=None, clock_mhz=None)
    serve(catalog, size, request.port, request.browser, announce)


def announce(url: str) -> None:
    click.echo(f"fivebyfive studio: {url} (on this machine only; Ctrl-C ends it)")
