"""What `import fivebyfive` gives, and what no file of the project may hold."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fivebyfive
from fivebyfive.model.data.datasets import load_dataset

ROOT = Path(__file__).parents[1]
ROOMS = ("fivebyfive", "hw", "model", "sim", "tests", "docs", "tools", ".ci")
ORDER = ("support", "model", "hw", "sim")  # a part of the house may import those before it
PARTS = {"support": "fivebyfive/support", "model": "model", "hw": "hw", "sim": "sim"}
MOST_FILES = 14  # of Python in a folder; a method of compression has a file
EXCEPT = {"model/compress/methods"}


def sources() -> list[Path]:
    """Every text file of the project."""
    found = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".coverage")]
    found += [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    binary = (".gz", ".npz", ".png", ".pyc")
    return [path for path in found if path.suffix not in binary and path.resolve() != Path(__file__).resolve()]


def test_public_names_are_there() -> None:
    for name in fivebyfive.__all__:
        assert getattr(fivebyfive, name) is not None
    assert set(fivebyfive.__all__) <= set(dir(fivebyfive))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fivebyfive.nothing  # noqa: B018 (looking it up is what fails)


def test_golden_model_and_rtl_say_the_same_from_python() -> None:
    network = fivebyfive.load()
    digits = load_dataset()
    logits = network.predict(digits.images[:2])
    assert (logits.dtype, logits.shape) == (np.int8, (2, 10))
    assert list(network.classify(digits.images[:2])) == list(digits.labels[:2])
    np.testing.assert_array_equal(network.accelerator().predict(digits.images[:2]), logits)
    with pytest.raises(fivebyfive.UserError, match="cannot read checkpoint"):
        fivebyfive.load("nowhere.npz")


def test_model_and_help_load_neither_hardware_nor_pytorch() -> None:
    """Reading a checkpoint is quick, and works where only NumPy is."""
    code = (
        "import sys, fivebyfive.cli, fivebyfive.model.golden, fivebyfive.model.training.train;"
        "print([name for name in ('amaranth', 'cocotb', 'torch', 'pyosys') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_room_imports_a_higher_one() -> None:
    for number, part in enumerate(ORDER):
        for path in (ROOT / PARTS[part]).rglob("*.py"):
            imported = set(re.findall(r"^\s*(?:from|import) fivebyfive\.(\w+)", path.read_text(), re.M))
            assert imported <= set(ORDER[: number + 1]), path
            assert not re.search(r"^\s*(?:from|import) (?:model|hw|sim)\b", path.read_text(), re.M), path


def test_rooms_are_small_and_have_captions() -> None:
    for folder in {path.parent for top in ("fivebyfive", "hw", "model", "sim") for path in (ROOT / top).rglob("*.py")}:
        name = folder.relative_to(ROOT).as_posix()
        assert len(list(folder.glob("*.py"))) <= MOST_FILES or name in EXCEPT, f"{name} needs rooms"
        assert (folder / "__init__.py").read_text().startswith('"""'), f"{name} does not say what it is for"


def test_no_file_names_a_place_on_one_machine() -> None:
    """No absolute path of a developer's machine, and no package registry."""
    unwanted = re.compile(r"/home/\w|/root/|/work/|/opt/py|pypi\.org|files\.pythonhosted|registry\.npmjs")
    for path in sources():
        found = unwanted.search(path.read_text(errors="replace"))
        assert found is None, f"{path}: {found}"


def test_paths_that_contributors_are_sent_to_exist() -> None:
    """Of CONTRIBUTING.md; not those with a <name> to fill in."""
    said = re.findall(r"`([\w.]+(?:/[\w.]+)+)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(said) > 40
    assert [path for path in said if not (ROOT / path).exists() and not (ROOT / "fivebyfive" / path).exists()] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 900


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    (block,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.M | re.S)
    for line in block.splitlines():
        assert re.search(r'",\s+# \w', line), line
