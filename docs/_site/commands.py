"""Help of the commands as reStructuredText: it is plain text, and paths are shown as a shell has them."""

import re

from docstrings import escaped
from sphinx.application import Sphinx

__all__ = ["setup"]

MARKED = re.compile(r"^( *)(\.\. |:default:|:options:|\*\*Required\*\* ?|Optional argument|Required argument)?(.*)$")
PATH = re.compile(r"\w*Path\('([^']*)'\)")


def process(app, context, lines: list[str]) -> None:
    """Escape what click's help says; what sphinx-click adds to it stays."""
    for number, line in enumerate(lines):
        space, mark, text = MARKED.match(PATH.sub(r"\1", line)).groups("")
        lines[number] = space + mark + (text if mark.startswith((":", ".")) else escaped(text))


def setup(app: Sphinx) -> dict:
    for what in ("description", "options", "arguments", "epilog"):
        app.connect(f"sphinx-click-process-{what}", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
