"""The documentation site: its build has no warning, no page is missing, and nothing loads from elsewhere."""

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fivebyfive.sim.quality.small_machines import SMALL_MACHINES
from fivebyfive.support.errors import UserError
from fivebyfive.verify import status
from fivebyfive.verify.schedule import schedule_page
from fivebyfive.verify.status import HOLES, PARTS, components, status_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LOADS = {"src", "srcset", "data", "poster", "background"}  # attributes whose address a browser loads at once
STYLE_LOADS = re.compile(r"""url\(\s*["']?((?:https?:)?//[^)"']+)|@import\s+["']([^"']+)""")
ELSEWHERE = re.compile(r"\s*(?:[a-z]+:)?//", re.I)


def make_flags() -> list[str]:
    """Of Sphinx, as `make docs` has them."""
    return re.search(r"^SPHINX := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()


def build(source: Path, out: Path) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        *make_flags(),
        "-d",
        str(out.with_name("doctrees")),
        str(source),
        str(out),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("sphinx")
    out = tmp_path_factory.mktemp("site") / "html"
    done = build(DOCS, out)
    assert done.returncode == 0, done.stderr
    return out


class Loads(HTMLParser):
    """Collects what a browser loads from another place when it shows a page; links to follow are none of that."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.style = tag == "style"
        for name, value in attributes:
            loads = name in LOADS or (name.endswith("href") and tag not in ("a", "area"))
            if loads and ELSEWHERE.match(value or ""):
                self.found.append(f"<{tag} {name}={value}>")
            elif name == "style":
                self.found += loads_of_style(value or "")

    def handle_data(self, text: str) -> None:
        if self.style:
            self.found += loads_of_style(text)


def loads_of_style(text: str) -> list[str]:
    return [address or rule for address, rule in STYLE_LOADS.findall(text)]


def test_nothing_loads_from_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    found = {f"{path.name}: {load}" for path in pages for load in Loads(path.read_text()).found}
    found |= {f"{path.name}: {load}" for path in site.rglob("*.css") for load in loads_of_style(path.read_text())}
    found |= {f"{path.name}: {load}" for path in site.rglob("*.svg") for load in Loads(path.read_text()).found}
    assert not found
    for path in site.rglob("*.js"):
        assert not re.search(r"""(?:fetch|import|importScripts)\(["'`](?:https?:)?//""", path.read_text()), path.name


def test_loads_are_found() -> None:
    page = """<link href="//fonts.example/a.css"><script src="https://cdn.example/a.js"></script><img src=a.png>
        <a href="https://example.org">a link</a><p style="background: url('http://example.org/b.png')">
        <style>@import "https://example.org/c.css"; p { background: url(d.png) }</style><image xlink:href="https://e/f">"""
    assert len(Loads(page).found) == 5


def test_every_page_is_on_the_site(site: Path) -> None:
    """Sphinx warns of a page in no list, which is an error; and all of docs/ are pages."""
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert all((site / page).is_file() for page in pages)
    menu = (site / "index.html").read_text()
    for caption in ("Start", "How to", "Explanation", "Reference", "Status"):
        assert f'<span class="caption-text">{caption}</span>' in menu


def test_pages_say_what_they_are_made_of(site: Path) -> None:
    """Options come from the commands, Python and components from docstrings, some pages from the root."""
    assert "--stream-bits" in (site / "command-line.html").read_text()
    api = (site / "api.html").read_text()
    assert "Errors, confusion and wraps on a data set" in api
    for name in ("load", "Network", "Accelerator", "Config", "UserError", "driver.Driver", "driver.DriverError"):
        assert f'id="fivebyfive.{name}"' in api
    for page, source in (("index", "README.md"), ("contributing", "CONTRIBUTING.md")):
        heading = re.search(r"^## (.*)$", (ROOT / source).read_text(), re.M)[1]
        assert f"<h2>{heading}<" in (site / f"{page}.html").read_text()
    shown = (site / "components.html").read_text()
    for one in components(ROOT):
        if not one.second:
            assert re.search(rf'id="fivebyfive\.hw\.(?:\w+\.)?{one.module}\.\w+"', shown), one.name


@pytest.mark.parametrize(
    "fault", ["a [link](nowhere.md)\n", "```{nothing}\n```\n", "{term}`nothing`\n", "```nolanguage\n```\n"]
)
def test_a_faulty_page_fails(tmp_path: Path, fault: str) -> None:
    pytest.importorskip("sphinx")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# A page\n\n{fault}")
    (tmp_path / "docs/conf.py").write_text('extensions = ["myst_parser"]\n')
    done = build(tmp_path / "docs", tmp_path / "html")
    assert done.returncode != 0
    assert "index.md" in done.stderr


def test_status_is_that_of_sources_and_logs() -> None:
    assert (DOCS / "status.md").read_text() == status_page(ROOT), "make status"


def test_status_has_every_component() -> None:
    names = {one.name for one in components(ROOT)}
    assert {make.__name__ for make in SMALL_MACHINES} <= names
    assert PARTS.keys() | HOLES.keys() <= names
    assert PARTS.keys() == {one.name for one in components(ROOT) if not one.bench}


def test_a_component_that_nobody_checks_is_named(monkeypatch) -> None:
    monkeypatch.delitem(PARTS, "link")
    with pytest.raises(UserError, match=r"^link has no small machine; make one in .*, or say in PARTS of "):
        status_page(ROOT)


def test_a_small_machine_of_no_component_is_named(monkeypatch) -> None:
    def network() -> None:
        """There is a bench of this name."""

    monkeypatch.setattr(status, "SMALL_MACHINES", (network,))
    with pytest.raises(UserError, match=r"^small machine network neither is nor ends with the name "):
        status_page(ROOT)


def test_status_without_logs_and_with_coverage(tmp_path: Path) -> None:
    """What is not measured is said to be; a log that appears has its column."""
    for folder in ("hw", "tests"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    page = status_page(tmp_path)
    assert "mutation score not measured" in page
    assert "| `argmax` | `fc/argmax.py` | yes | `argmax` | not measured | not measured | - |" in page
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/coverage.log").write_text(
        "component               blocks     ran  toggles     seen  unexplained\n"
        "argmax                      10       9    2,000    1,999            2\n"
        "measured before: 2026-11-22, the Verilog of argmax has changed since\n"
    )
    page = status_page(tmp_path)
    holes = "2 signals or blocks never seen, without a reason; coverage of older Verilog"
    assert f"| not measured | 90.0 %, 99.9 % | {holes} |" in page


def test_schedule_is_that_of_the_cycle_model() -> None:
    """`make schedule` writes the page again."""
    assert (DOCS / "schedule.md").read_text() == schedule_page()


def test_diagrams_are_those_of_the_command(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    diagrams = importlib.import_module("diagrams")
    for name, diagram in diagrams.DIAGRAMS.items():
        assert (DOCS / name).read_text() == diagrams.draw(diagram), "make diagrams"
        assert all(end in diagram.boxes for arrow in diagram.arrows for end in (arrow.start, arrow.end))
