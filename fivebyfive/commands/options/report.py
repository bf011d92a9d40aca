"""The option that names the page of a command, and whether it could be written."""

from collections.abc import Sequence
from pathlib import Path

import click

from fivebyfive.output.paths import FileName, check_file
from fivebyfive.support.destinations import file_place
from fivebyfive.support.errors import UserError

__all__ = ["check_report", "report_option"]

SUFFIX = ".html"
OPTION = "--report"

report_option = click.option(
    OPTION, type=FileName(), metavar="FILE.html",
    help="Write one page with tables, pictures, the machine's diagram, and what the figures mean.",
)  # fmt: skip


def check_report(
    path: Path | None, inputs: Sequence[Path | str | None] = (), outputs: Sequence[Path | None] = ()
) -> None:
    """Raise UserError where a page is wanted that could not be written, or would take the place of one of the
    ``inputs`` or other ``outputs``."""
    if path is None:
        return
    if path.suffix.lower() != SUFFIX:
        raise UserError(f"{path} is not the name of a page; name it {path.stem}{SUFFIX}, or otherwise, with {OPTION}")
    check_file(path, inputs, OPTION)
    if any(one is not None and file_place(path) == file_place(one) for one in outputs):
        raise UserError(f"{path} is what another result is called; name another place with {OPTION}")
