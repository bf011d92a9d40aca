"""docs/tutorial.md as a notebook, which is run with a small network in place of the one that ships.

`test_readme.py` runs the page itself. Figures of both are those of the models.
"""

import importlib.util
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fivebyfive.api import load
from fivebyfive.model import golden
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.pictures import load_picture
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.shape import LeNetShape

pytest.importorskip("jupytext")
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/tutorial.md").read_text()
NOTEBOOK = ROOT / "docs/tutorial.ipynb"
COLOR = re.compile("\x1b\\[[0-9;]*m")  # cells are shown in color
# The command with a small network for the one that ships, and Icarus for Verilator. What test_readme.py runs, or what
# takes minutes, is only parsed.
SMALL_COMMAND = """#!{python}
import sys
from pathlib import Path
import fivebyfive.model.checkpoint
fivebyfive.model.checkpoint.SHIPPED = Path({checkpoint!r})
from fivebyfive.cli import main
words = sys.argv[1:]
parsed = words[0] in ("build", "classify", "measure") or "--conv-pes" in words
words += ["--help"] if parsed else ["--simulator", "icarus"] if words[0] == "simulate" else []
main(words, prog_name="fivebyfive")
"""


def script() -> ModuleType:
    """tools/tutorial.py."""
    spec = importlib.util.spec_from_file_location("tutorial", ROOT / "tools/tutorial.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_is_the_page() -> None:
    assert NOTEBOOK.read_text() == script().notebook(PAGE), "make pictures"


@pytest.mark.full
@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    network = Checkpoint.random(LeNetShape(3, 4, (7, 10)), seed=5)
    weights = network.arrays["conv1.weight"].copy()
    weights[2, 0, 4, 4] = -2  # as that of the network that ships, whose sign is changed
    checkpoint, command = tmp_path / "small.npz", tmp_path / "bin" / "fivebyfive"
    save_checkpoint(checkpoint, replace(network, arrays={**network.arrays, "conv1.weight": weights}))
    command.parent.mkdir()
    command.write_text(SMALL_COMMAND.format(python=sys.executable, checkpoint=str(checkpoint)))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith("COVERAGE")]:
        monkeypatch.delenv(name)
    page = nbformat.read(NOTEBOOK, as_version=4)
    work = tmp_path / "work"
    work.mkdir()
    NotebookClient(page, timeout=300, resources={"metadata": {"path": str(work)}}).execute()
    cells = [cell for cell in page.cells if cell.cell_type == "code"]
    said = [COLOR.sub("", "".join(output.get("text", "") for output in cell.outputs)) for cell in cells]
    assert all(cell.execution_count for cell in cells)
    failed = [number for number, cell in enumerate(cells) if any(one.output_type == "error" for one in cell.outputs)]
    assert ["7e" in cells[number].source for number in failed] == [True]
    assert "first difference: image 0, layer conv1, channel 2," in said[failed[0]]
    assert sum("every value of conv1, conv2, fc1, fc2: equal" in text for text in said) == 1
    drawn = {path.name for path in (work / "build").glob("tutorial-*.svg")}
    assert drawn == set(re.findall(r"\(pictures/(.*?)\)", PAGE)) - {"tutorial-larger.svg"}


@pytest.fixture
def seven(tmp_path: Path, monkeypatch) -> np.ndarray:
    """The digit that the page draws."""
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)[1], {})
    return load_picture("seven.png")


def test_what_comes_out_of_the_digit(seven: np.ndarray) -> None:
    """Logits, and the first difference of a machine in which a bit is wrong."""
    network = load()
    logits = network.predict(seven[None])[0]
    assert f"logits {' '.join(map(str, logits))}\nclass {logits.argmax()}\n" in PAGE
    weights = network.checkpoint.arrays["conv1.weight"].copy()
    assert weights[2, 0].tobytes()[::-1].hex() in PAGE
    weights[2, 0, 4, 4] ^= np.int8(-128)
    broken = replace(network.checkpoint, arrays={**network.checkpoint.arrays, "conv1.weight": weights})
    right, wrong = (golden.forward(one, seven[None]).outputs["conv1"] for one in (network.checkpoint, broken))
    image, channel, row, column = place = tuple(map(int, np.argwhere(right != wrong)[0]))
    where = f"image {image}, layer conv1, channel {channel}, row {row}, column {column}"
    assert f"first difference: {where}: expected {right[place]}, got {wrong[place]}\n" in PAGE


def test_cycles_of_the_page() -> None:
    shape = load_checkpoint().shape
    one, four = plan(shape.network, sized(shape.network)), plan(shape.network, sized(shape.network, 4))
    due = (one.conv, one.limit_conv, one.fc, one.limit_fc, one.latency, one.interval, four.interval, four.latency)
    for cycles in (*due, plan(shape.network, sized(shape.network, 50, 13)).interval):
        assert re.search(rf"(?<!\d){cycles:,}(?!\d)", PAGE), f"{cycles:,}"
    assert f"{100 * four.utilization(shape.network, sized(shape.network, 4)):.1f} %" in PAGE
