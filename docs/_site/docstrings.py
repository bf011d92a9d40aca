"""Docstrings of this project as reStructuredText.

They are plain text: names in single backquotes, literals in double ones, paragraphs, lists, indented code, and sections
of NumPy's form, in which each entry is ``name : text``. Everything else is taken as it stands, so a star or an
underscore means nothing.
"""

import inspect
import re

from sphinx.application import Sphinx

__all__ = ["escaped", "setup", "to_rst"]

QUOTED = re.compile(r"(``.+?``|`[^`\n]+?`)")
MARKUP = re.compile(r"([\\*_|`])")
ENTRY = re.compile(r"^(\S[^:]*?) : (.*)$")
FIELD = re.compile(r"^(``[^`]+``(?:(?:,| and) ``[^`]+``)*): ")
ITEM = re.compile(r"^([-*]|\d+\.) +")
UNDERLINE = re.compile(r"^(-{3,}|={3,})$")


def escaped(text: str) -> str:
    """Text that means itself."""
    return MARKUP.sub(r"\\\1", text)


def inline(text: str) -> str:
    """A paragraph's text: quoted names as references where there is something to refer to, all else escaped."""
    parts = QUOTED.split(text)
    for number, part in enumerate(parts):
        if not number % 2:
            parts[number] = escaped(part)
            continue
        inside = part.strip("`").strip()
        role = ":py:obj:" if not part.startswith("``") and re.fullmatch(r"[\w.]+", inside) else ""
        quoted = f"{role}`{inside}`" if role else f"``{inside}``"
        # Inline markup ends at a character that is none of a word: "\ " is such a one, and is not shown.
        glued = number + 1 < len(parts) and re.match(r"\w", parts[number + 1])
        parts[number] = quoted + ("\\ " if glued else "")
    return "".join(parts)


def blocks(lines: list[str]) -> list[list[str]]:
    """Lines between blank ones; indented blocks that follow each other are one."""
    found: list[list[str]] = []
    blank = True
    for line in lines:
        if not line.strip():
            blank = True
            continue
        if blank and found and line.startswith(" ") and found[-1][0].startswith(" "):
            found[-1] += ["", line]
        elif blank or (found and UNDERLINE.match(found[-1][-1])):
            found.append([line])
        else:
            found[-1].append(line)
        blank = False
    return found


def entries(lines: list[str]) -> list[str]:
    """A section's entries, ``name : text``, as a definition list."""
    said: list[list[str]] = []
    for line in lines:
        if match := ENTRY.match(line):
            said.append([match[1], match[2]])
        elif said:
            said[-1][1] += " " + line.strip()
        else:
            said.append([line.strip(), ""])
    return [part for name, text in said for part in (f"``{name}``", f"    {inline(text) or '-'}", "")]


def items(lines: list[str]) -> list[str]:
    """A list; lines that are indented go on with the item before them."""
    said: list[str] = []
    for line in lines:
        if match := ITEM.match(line):
            said.append(f"* {inline(line[match.end() :])}")
        elif said:
            said[-1] += " " + inline(line.strip())
    return [*said, ""]


def to_rst(lines: list[str]) -> list[str]:
    """A docstring, without the indentation of its source."""
    made: list[str] = []
    section = False
    for block in blocks(lines):
        if len(block) == 2 and UNDERLINE.match(block[1]):
            made += [f".. rubric:: {inline(block[0])}", ""]
            section = True
        elif section and ENTRY.match(block[0]):
            made += entries(block)
        elif block[0].startswith(" "):
            made += ["::", "", *(f"    {line}" for line in block), ""]
        elif ITEM.match(block[0]):
            made += items(block)
        else:
            made += [*paragraph(block), ""]
    return made


def paragraph(block: list[str]) -> list[str]:
    """Lines of prose; what is indented below them is code. "``name``: text" begins an entry of a list."""
    if FIELD.match(block[0]):
        starts = [number for number, line in enumerate(block) if FIELD.match(line)]
        ends = [*starts[1:], len(block)]
        return [f"* {inline(' '.join(block[start:end]))}" for start, end in zip(starts, ends, strict=True)]
    for number, line in enumerate(block):
        if line.startswith("    "):
            return [inline(" ".join(block[:number])), "", "::", "", *(f"    {one}" for one in block[number:])]
    return [inline(" ".join(block))]


def signature(app, what, name, thing, options, signature, returns):
    """Of a component, whose class hides the arguments of its ``__init__``."""
    if what == "class" and hasattr(thing, "elaborate"):
        parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
        return str(inspect.Signature(parameters)), None
    return None


def process(app, what, name, thing, options, lines) -> None:
    lines[:] = to_rst(list(lines))


def setup(app: Sphinx) -> dict:
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
