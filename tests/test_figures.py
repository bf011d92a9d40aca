"""Pages that hold figures say what was measured, and when that is no longer what there is now."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from fivebyfive.output import provenance
from fivebyfive.output.provenance import Record, read, write
from fivebyfive.support.errors import UserError
from fivebyfive.verify import figures
from fivebyfive.verify.figures import BY_HAND, PAGES, Page, checkpoint_inputs, differences
from fivebyfive.verify.machines import MACHINES, QUICK, verilog_inputs

ROOT = Path(__file__).parents[1]
RECORDS = {page.path: read(ROOT / page.path) for page in (*PAGES, *BY_HAND) if (ROOT / page.path).is_file()}
THERE = [page for page in (*PAGES, *BY_HAND) if page.path in RECORDS]
SOME, OTHER = {"verilog of adder": "0" * 64, "checkpoint lenet": "1" * 64}, {"verilog of adder": "2" * 64}


def test_every_page_of_figures_is_listed() -> None:
    found = {path for kind in ("*.log", "*.png", "*/*.json") for path in (ROOT / "docs").glob(kind)}
    found -= {ROOT / "docs/test-all.log"}  # seconds of tests
    found |= {path for path in (ROOT / "docs").glob("*.md") if "Written by `make" in path.read_text()}
    assert {str(path.relative_to(ROOT)) for path in found} <= RECORDS.keys()


def test_pages_that_are_not_there_yet_are_said_to_be_missing() -> None:
    said = " ".join((ROOT / "docs/verification.md").read_text().split())
    for page in (*PAGES, *BY_HAND):
        assert page.path in RECORDS or f"`{page.path}`, which is not there yet" in said


def test_make_figures_writes_every_page() -> None:
    """In the order of the list, by the commands of the Makefile."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    targets = re.search(r"^FIGURES := (.*)$", text, re.M)[1].split()
    assert targets == [page.target for page in PAGES]
    done = subprocess.run(["make", "-n", "figures"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        recipe = re.search(rf"^{page.target}:.*\n((?:\t.*\n)+)", text, re.M)[0]
        assert Path(page.path).name in recipe or str(Path(page.path).parent) in recipe, page.path


@pytest.mark.parametrize("page", THERE, ids=lambda page: page.path)
def test_a_page_says_what_it_was_measured_on(page: Page) -> None:
    record = RECORDS[page.path]
    assert record.inputs.keys() == page.names or record.before, f"make {page.target}"


@pytest.mark.parametrize("page", THERE, ids=lambda page: page.path)
def test_checkpoints_are_those_that_were_measured(page: Page) -> None:
    assert not differences(RECORDS[page.path], checkpoint_inputs(page.checkpoints)), f"make {page.target}"


# Those that take long to generate are for `make test-all`.
@pytest.mark.parametrize(
    "machine", [name if name in QUICK else pytest.param(name, marks=pytest.mark.full) for name in MACHINES]
)
def test_verilog_is_what_was_measured(machine: str) -> None:
    """Of every page that is about the machine and isn't marked. If not: `make TARGET`, or
    `python -m fivebyfive.verify.figures before PAGE DATE WHY`."""
    pages = [page for page in THERE if machine in page.machines and not RECORDS[page.path].before]
    if pages:
        now = verilog_inputs([machine])
        assert not {page.path: page.target for page in pages if differences(RECORDS[page.path], now)}


def test_what_changed_is_found() -> None:
    assert not differences(Record(SOME), SOME)
    assert differences(Record(SOME), SOME | OTHER) == ["verilog of adder"]
    assert differences(Record(), SOME) == list(SOME)
    assert not differences(Record(SOME, "2026-11-22", "an older adder"), OTHER)


@pytest.mark.parametrize("record", [Record(SOME), Record(SOME, "2026-11-22", "older")], ids=["now", "before"])
@pytest.mark.parametrize("name", ["some.log", "some.md", "some.json", "some.png"])
def test_a_record_is_read_as_it_was_written(tmp_path: Path, name: str, record: Record) -> None:
    """In place of what was there, and nothing else of the page changes."""
    path = tmp_path / name
    if path.suffix == ".png":
        Image.new("RGB", (3, 2), (200, 10, 40)).save(path)
    else:
        path.write_text('{"cycles": 75580}' if path.suffix == ".json" else "75,580 cycles\n")
    for written in (Record(OTHER, "2026-01-02", "another reason"), record):
        write(path, written)
        assert read(path) == written
    if path.suffix == ".png":
        with Image.open(path) as image:
            assert image.getpixel((2, 1)) == (200, 10, 40)
    elif path.suffix == ".json":
        assert json.loads(path.read_text())["cycles"] == 75580
    else:
        assert path.read_text().startswith("75,580 cycles\n")
        write(path, Record())
        assert read(path) == Record()


def test_a_mark_without_a_date_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_text("measured before: lately, an older schedule\n")
    with pytest.raises(UserError, match="has no date"):
        read(path)


def test_pages_are_marked_and_recorded_by_command(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Page("docs/some.log", "verify-all", "a minute", ("argmax",), ("lenet",))
    monkeypatch.setattr(figures, "PAGES", (page,))
    monkeypatch.setattr(figures, "BY_HAND", ())
    assert "not there yet" in CliRunner().invoke(figures.main, []).output
    (tmp_path / "docs").mkdir()
    (tmp_path / page.path).write_text("all equal\n")
    figures.record_page(page)
    assert read(tmp_path / page.path).inputs == verilog_inputs(["argmax"]) | checkpoint_inputs(["lenet"])
    figures.mark_page(page, "2026-11-22", "an older schedule")
    assert "measured before: 2026-11-22, an older schedule" in CliRunner().invoke(figures.main, []).output
    assert provenance.read(tmp_path / page.path).inputs.keys() == page.names
