"""The blocks of README.md and of pages in docs/ are run: shell, Python and Verilog; links lead somewhere.

A comment before a block changes how it runs: ``exit codes 0 1`` (0 without it), ``needs torch``, ``make`` (a dry run
here; `test_fresh_clone.py` runs ``make demo``, and a reader of this runs ``make test``), ``NAME gets OPTIONS`` for the
commands that would take hours otherwise (they get a tiny data set and few epochs, or the models only), and ``not run,
WHY``.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.cli import main
from fivebyfive.model.data.idx import idx_bytes

ROOT = Path(__file__).parents[1]
# One after the other in one folder, as a reader would.
RUN = ("tutorial", "command-line", "api", "own-network", "compress", "measuring", "boards", "vivado", "debug")
PAGES = ("README.md", *(f"docs/{name}.md" for name in RUN))
TEXT = "".join((ROOT / page).read_text() for page in PAGES)
# Pages with blocks that other tests run, or that are parts of a program.
ELSEWHERE = {"axi.md", "performance.md", "simulation.md", "studio.md"}
BLOCK = re.compile(r"(?:<!-- test: (.*?) -->\n)?```(\w+)\n(.*?)^```$", re.M | re.S)
GETS = re.compile(r"(\w+) gets ([^;]+)")
TIMEOUT_S = 600


@dataclass(frozen=True)
class Block:
    """``note``: the comment before it. ``language``: as named behind the backquotes."""

    note: str
    language: str
    text: str


def blocks_of(text: str) -> list[Block]:
    return [Block(note or "", language, content) for note, language, content in BLOCK.findall(text)]


BLOCKS = blocks_of(TEXT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader might be, with a tiny data set at hand."""
    data = tmp_path / "tiny"
    data.mkdir()
    rng = np.random.default_rng(1)
    for prefix in ("train", "t10k"):
        images = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
        (data / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (data / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes((np.arange(40) % 10).astype(np.uint8)))
    return tmp_path


def untraced() -> dict[str, str]:
    """This process's environment without what has the commands' coverage measured: tests of each do that."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def run_line(line: str, folder: Path) -> subprocess.CompletedProcess:
    """A line of a shell block, with this environment's commands."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=untraced() | {"PATH": path}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def run_shell(block: Block, folder: Path) -> str:
    """Every line of a block; what they wrote."""
    codes = [int(code) for code in re.findall(r"\d+", block.note)] if "exit codes" in block.note else []
    lines = block.text.splitlines()
    said = ""
    for line, code in zip(lines, codes or [0] * len(lines), strict=True):
        for command, options in GETS.findall(block.note):
            if line.startswith(f"fivebyfive {command} "):
                line += f" {options}"
        done = run_line(line, folder)
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        said += done.stdout + done.stderr
    return said


def without_numbers(text: str) -> str:
    """Figures may change with the checkpoint; words may not."""
    return re.sub(r"\d+", "0", text)


def test_there_is_something_to_run() -> None:
    languages = [block.language for block in BLOCKS]
    assert languages.count("sh") >= 6
    assert {"python", "verilog", "text"} <= set(languages)
    assert TEXT.count("<!-- test:") == sum(bool(block.note) for block in BLOCKS)  # each is before a block


def test_every_page_with_blocks_is_run() -> None:
    blocks = re.compile(r"^```(?:sh|python)$", re.M)
    with_blocks = {path.name for path in (ROOT / "docs").glob("*.md") if blocks.search(path.read_text())}
    assert with_blocks - {Path(page).name for page in PAGES} <= ELSEWHERE


# The tutorial is also a notebook, which tests/test_tutorial.py runs; commands have tests of their own in tests/cli.
@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    "pages", [("README.md", "docs/api.md"), pytest.param(PAGES, marks=pytest.mark.full)], ids=["first pages", "all"]
)
def test_every_block_from_top_to_bottom(folder: Path, pages: tuple[str, ...]) -> None:
    if not find_spec("torch"):
        pytest.skip("the blocks about training need PyTorch")
    said = ""
    for block in blocks_of("".join((ROOT / page).read_text() for page in pages)):
        if block.note.startswith("not run, "):
            continue
        if block.language == "sh":
            said = check_make(block) if block.note == "make" else run_shell(block, folder)
        elif block.language == "text":
            for line in block.text.splitlines():
                assert without_numbers(line) in without_numbers(said), f"{line}\nis not in\n{said}"
        elif block.language == "python":
            said = run_python(block, folder)
    pictures = (ROOT / "docs/pictures").glob("tutorial-*.svg") if pages == PAGES else ()
    for picture in pictures:
        assert drawn_text(folder / "build" / picture.name) == drawn_text(picture), f"{picture}: make pictures"


def drawn_text(path: Path) -> list[str]:
    """The text of a picture, which matplotlib repeats in comments; waveforms are FST where Verilator can write it."""
    return re.findall(r"<!-- (.*?) -->", path.read_text().replace("waves.fst", "waves.vcd"))


def run_python(block: Block, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", block.text]
    environment = untraced()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_make(block: Block) -> str:
    """Make knows what to do for each line."""
    for line in block.text.splitlines():
        command, target = line.split()
        assert command == "make"
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    return ""


def test_the_verilog_example_fits_the_generated_module(tmp_path: Path) -> None:
    if not shutil.which("iverilog"):
        pytest.skip("Icarus Verilog is not installed")
    run_line("fivebyfive generate --out v", tmp_path)
    (block,) = (block for block in BLOCKS if block.language == "verilog")
    (tmp_path / "v/top.v").write_text(block.text)
    command = "iverilog -g2005 -Wall -Wno-timescale -s top -o top.vvp top.v lenet.v"
    done = run_line(command, tmp_path / "v")
    assert done.returncode == 0, done.stderr
    about_us = [line for line in done.stderr.splitlines() if line.startswith("top.v")]
    assert about_us == []


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_make_knows_what_it_lists() -> None:
    """Every word of the Makefile has a line of help, and a recipe."""
    text = (ROOT / "Makefile").read_text()
    words = re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split()
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert sorted(re.findall(r"^  make ([\w-]+) +\S", helped, re.M)) == sorted(words)
    check_make(Block("make", "sh", "".join(f"make {word}\n" for word in words)))


def test_commands_and_options_in_the_table_exist() -> None:
    rows = re.findall(r"^\| `fivebyfive (\w+) ([^`]*)`", TEXT, re.M)
    assert {command for command, _ in rows} == set(main.commands)
    for command, words in rows:
        helped = run_line(f"fivebyfive {command} --help", ROOT).stdout
        if command == "draw":  # its options are its commands'
            helped += run_line("fivebyfive draw diagram --help; fivebyfive draw waves --help", ROOT).stdout
        for option in re.findall(r"--\w+", words):
            assert option in helped, f"{command} {option}"


def test_figures_are_those_of_what_ships() -> None:
    from fivebyfive.model.checkpoint import load_checkpoint
    from fivebyfive.model.data.datasets import load_dataset
    from fivebyfive.model.evaluate import evaluate
    from fivebyfive.model.machine.cycles import plan
    from fivebyfive.model.machine.sizing import sized

    checkpoint, page = load_checkpoint(), (ROOT / "docs" / "measured.md").read_text()
    planned, four = (plan(checkpoint.network, sized(checkpoint.network, pes)) for pes in (1, 4))
    clocks = (
        planned.conv,
        planned.limit_conv,
        planned.fc,
        planned.limit_fc,
        planned.latency,
        planned.interval,
    )
    for cycles in (*clocks, four.interval):
        assert re.search(rf"(?<!\d){cycles:,}(?!\d)", page), f"{cycles:,}"
    seen = evaluate(checkpoint, load_dataset())
    assert f"| {seen.errors} and {sum(seen.wraps.values())} |" in page
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"45 multipliers: {planned.interval:,} cycles an image, " in readme
    assert f", {seen.errors} errors of 10,000, " in readme
    assert f"With 100 + 20 multipliers {four.interval:,} cycles an image." in readme


def test_checkpoint_tables_are_those_of_the_code() -> None:
    from fivebyfive.model.shape import LeNetShape

    page = (ROOT / "docs" / "checkpoint.md").read_text()
    for name, shape in LeNetShape(20, 50, (500, 10)).arrays.items():
        assert re.search(rf"^\| `{re.escape(name)}`.*\| {re.escape(str(shape))} \|$", page, re.M), f"{name} {shape}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 900
