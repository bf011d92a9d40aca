"""Draws the pictures of docs/tutorial.md and writes the page as a notebook: `make pictures`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat

DOCS = Path(__file__).parents[1] / "docs"
PAGE, NOTEBOOK, PICTURES = DOCS / "tutorial.md", DOCS / "tutorial.ipynb", DOCS / "pictures"
COMMENT = re.compile(r"\n*<!-- test: (.*?) -->$")  # for the tests, before the block of the next cell
KERNEL = """---
jupyter:
  kernelspec:
    display_name: Python 3
    language: python
    name: python3
---

"""  # or jupytext takes the language that most blocks are in
DRAWN = re.compile(r"^fivebyfive (draw .*|.* --waves)$", re.M)  # lines that pictures come from


def notebook(page: str) -> str:
    """The page as a notebook without outputs; the same page gives the same bytes. A shell block is a cell of its own,
    which may fail where the page says that it does."""
    made = jupytext.reads(KERNEL + page, fmt="md")
    comment = None
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        if comment and re.fullmatch(r"exit codes .* 1", comment[1]):
            cell.metadata = {"tags": ["raises-exception"]}
        comment = COMMENT.search(cell.source)
        cell.source = COMMENT.sub("", cell.source)
    made.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(made)
    return nbformat.writes(made) + "\n"


def draw(page: str) -> None:
    """Run the lines that draw, and the Python block that makes the digit, in an empty folder; keep the pictures."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    digit = re.search(r"^```python\n(.*?)^```$", page, re.M | re.S)[1]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", digit], cwd=folder, check=True)
        for line in DRAWN.finditer(page):
            subprocess.run(["bash", "-c", line[0]], cwd=folder, env=os.environ | {"PATH": path}, check=True)
        for name in re.findall(r"\(pictures/(.*?\.svg)\)", page):
            shutil.copyfile(Path(folder, "build", name), PICTURES / name)


if __name__ == "__main__":
    text = PAGE.read_text()
    NOTEBOOK.write_text(notebook(text))
    draw(text)
