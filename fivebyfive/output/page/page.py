"""A page that stands alone: tables and pictures of a command, what was run, and what its figures mean.

One template for all commands (page.html.j2): styles stand in it, pictures are data URIs, and a content security policy
lets a browser load nothing else.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import click
import jinja2

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.training.report import versions
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.files import replacing
from fivebyfive.support.ownership import GENERATOR
from fivebyfive.support.temporary import working_folder

from ..provenance import checkpoint_input
from ..report import Rows
from ..terminal import WORDS, command, say
from .glossary import GLOSSARY

__all__ = ["Page", "Picture", "checkpoints", "diagram", "plotted", "write_page"]

MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}
UNKNOWN = "unknown"  # version of a package that is not installed


@dataclass(frozen=True)
class Picture:
    """``title``, shown below it; ``text`` for those who cannot see it; ``data`` of a file with that ``suffix``."""

    title: str
    text: str
    suffix: str
    data: bytes

    @property
    def source(self) -> str:
        """As a browser takes it from the page itself."""
        return f"data:{MEDIA[self.suffix]};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Page:
    """What a command found. ``lines``: sentences at the top, of which the first is the ``verdict``'s if that is known:
    whether all is equal. ``inputs``: name of what it was measured on to SHA-256 (`provenance`). ``tools``: lines with
    the versions of what was used beside fivebyfive itself."""

    title: str
    lines: Sequence[str]
    tables: Sequence[Rows]
    pictures: Sequence[Picture]
    inputs: Mapping[str, str]
    tools: Sequence[str] = ()
    verdict: bool | None = None
    remarks: Sequence[str] = field(default_factory=tuple)

    @property
    def meanings(self) -> dict[str, str]:
        """Each figure in the tables to the sentence that says what it is."""
        names = dict.fromkeys(name for rows in self.tables for name in rows.figures)
        return {name: GLOSSARY[name] for name in names if name in GLOSSARY}


def plotted(title: str, text: str, draw: Callable[[Path], None], suffix: str = ".svg") -> list[Picture]:
    """The picture that ``draw`` makes; none, and a remark, where something to draw it with is missing."""
    with working_folder() as folder:
        path = folder / f"picture{suffix}"
        try:
            draw(path)
        except UserError as error:
            say(f"No picture: {error}.")
            return []
        return [Picture(title, text, suffix, path.read_bytes())] if path.exists() else []


def diagram(name: str, checkpoint: Checkpoint, config: Config) -> list[Picture]:
    """The block diagram of the machine for a checkpoint that is called ``name``."""
    from ..block_diagram import draw_diagram
    from ..plots import require_matplotlib

    def draw(path: Path) -> None:
        require_matplotlib()
        draw_diagram(path, name, checkpoint.network, config)

    title = f"The machine for {shown(name)}, {config.multipliers:,} multipliers"
    return plotted(title, f"Block diagram of the accelerator for {shown(name)}", draw)


def write_page(path: Path, page: Page) -> None:
    """Write a page. Raises UserError."""
    text = rendered(page)
    with replacing(path, "w") as file:
        file.write(text)
    say(f"report in {path}")


def rendered(page: Page) -> str:
    """The page as HTML."""
    template = (resources.files(__package__) / "page.html.j2").read_text(encoding="ascii")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=plain
    )
    own = {name: number for name, number in versions().items() if number != UNKNOWN}
    context = click.get_current_context(silent=True)
    words = context.find_root().meta.get(WORDS) if context else None
    values = {"page": page, "generator": GENERATOR, "versions": own, "command": command(*words) if words else None}
    return environment.from_string(template).render(values)


def plain(value: object) -> object:
    """A text without what a browser would take for more than letters; other values as they are."""
    return shown(value) if type(value) is str else value


def checkpoints(named: Mapping[str, Checkpoint]) -> dict[str, str]:
    """What pages say of checkpoints, by name."""
    return {key: digest for name, one in named.items() for key, digest in checkpoint_input(shown(name), one).items()}
