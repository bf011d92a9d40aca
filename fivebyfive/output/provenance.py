"""What the figures of a page were measured on: SHA-256 of Verilog and checkpoints, recorded on the page itself.

A log or a Markdown page has a line for each input, ``measured: verilog of lenet 25 + 20: SHA-256``; a PNG has these
lines in a text chunk, a JSON object has fields of these names. A page whose Verilog or checkpoint has changed since is
either measured again, or says so: ``measured before: 2026-11-22, an older schedule``.
"""

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.estimates.measurement import size_text
from fivebyfive.model.machine.config import Config
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing

if TYPE_CHECKING:
    from fivebyfive.hw.codegen.verilog import Design

__all__ = [
    "BEFORE", "MEASURED", "Record", "checkpoint_input", "comment", "lenet_name", "lines", "png_text", "read",
    "verilog_input", "write",
]  # fmt: skip

MEASURED = "measured"
BEFORE = "measured before"
INPUT = re.compile(rf"^{MEASURED}: (.+): ([0-9a-f]{{64}})$", re.M)
MARK = re.compile(rf"^{BEFORE}: (\S+), (.+)$", re.M)
ANY_LINE = re.compile(rf"^(?:{MEASURED}|{BEFORE}): .*\n?", re.M)
COMMENT = re.compile(r"\n<!--\n(?:(?:measured|measured before): .*\n)+-->\n\Z")


@dataclass(frozen=True)
class Record:
    """``inputs``: name of each input to its SHA-256. ``before``: ISO date of a measurement that no longer holds, and
    ``why`` it does not; both empty for a page whose figures are those of ``inputs``."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    why: str = ""

    def text(self) -> str:
        """As lines of a log."""
        mark = f"{BEFORE}: {self.before}, {self.why}\n" if self.before else ""
        return mark + lines(self.inputs)


def lenet_name(config: Config) -> str:
    """What the shipped LeNet's machine of a size is called on pages."""
    flags = [name for name in ("early_fc", "packed", "winograd") if getattr(config, name)]
    return " ".join(["lenet", size_text(config), *flags, *([config.dsp_size] if "dsp_size" in config.plain else [])])


def verilog_input(name: str, design: "Design") -> dict[str, str]:
    """Name and digest of generated Verilog. What its memories contain is left to the checkpoint."""
    return {f"verilog of {name}": hashlib.sha256(design.verilog.encode()).hexdigest()}


def checkpoint_input(name: str, checkpoint: Checkpoint) -> dict[str, str]:
    """Name and digest of a checkpoint's arrays."""
    return {f"checkpoint {name}": checkpoint.digest}


def lines(inputs: Mapping[str, str]) -> str:
    """The lines of a log, one an input."""
    return "".join(f"{MEASURED}: {name}: {digest}\n" for name, digest in inputs.items())


def comment(inputs: Mapping[str, str]) -> str:
    """The lines for the end of a page in Markdown, which does not show them."""
    return hidden(Record(inputs))


def hidden(record: Record) -> str:
    return f"\n<!--\n{record.text()}-->\n"


def read(path: Path) -> Record:
    """What a page records. Raises UserError for a mark without a date."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return parse(image.info.get(MEASURED, ""), path)
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        mark = f"{BEFORE}: {content[BEFORE]}\n" if BEFORE in content else ""
        return parse(mark + lines(content.get(MEASURED, {})), path)
    return parse(path.read_text(), path)


def parse(text: str, path: Path) -> Record:
    mark = MARK.search(text)
    if not mark:
        return Record(dict(INPUT.findall(text)))
    try:
        datetime.date.fromisoformat(mark[1])
    except ValueError as error:
        raise UserError(f"{path}: '{mark[0]}' has no date; write {BEFORE}: YYYY-MM-DD, why") from error
    return Record(dict(INPUT.findall(text)), mark[1], mark[2])


def write(path: Path, record: Record) -> None:
    """Record on an existing page, in place of what it recorded; its figures stay as they are."""
    if path.suffix == ".png":
        write_png(path, record)
    elif path.suffix == ".json":
        content = {
            name: value for name, value in json.loads(path.read_text()).items() if name not in (MEASURED, BEFORE)
        }
        mark = {BEFORE: f"{record.before}, {record.why}"} if record.before else {}
        write_text(path, json.dumps(content | mark | {MEASURED: dict(record.inputs)}, indent=2) + "\n")
    elif path.suffix == ".md":
        write_text(path, COMMENT.sub("", path.read_text()) + hidden(record))
    else:
        write_text(path, ANY_LINE.sub("", path.read_text()) + record.text())


def write_text(path: Path, text: str) -> None:
    with replacing(path, "w") as file:
        file.write(text)


def write_png(path: Path, record: Record) -> None:
    with Image.open(path) as image:
        image.load()
    with replacing(path) as file:
        image.save(file, format="PNG", optimize=True, pnginfo=png_text(record))


def png_text(record: Record) -> PngInfo:
    """The text chunk of a PNG."""
    info = PngInfo()
    info.add_text(MEASURED, record.text())
    return info
