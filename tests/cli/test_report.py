"""--report: one page that stands alone, valid HTML, whatever the command."""

import base64
import io
import re
import sys
from pathlib import Path

import click.testing
import html5lib
import numpy as np
import pytest
from PIL import Image

from fivebyfive.cli import main
from fivebyfive.commands.compare import COLUMNS
from fivebyfive.commands.compress import seed_rows, size_rows, step_rows
from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.data.named_sets import SUITES
from fivebyfive.model.estimates.measurement import estimate
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.machine.sizing import sized
from fivebyfive.output.measurement_tables import EXPLORED, figures
from fivebyfive.output.page.glossary import GLOSSARY
from fivebyfive.output.page.page import Page, Picture, rendered
from fivebyfive.output.report import Rows, cycle_rows, training_rows

OUTSIDE = re.compile(r"""(?:src|href|srcset|action)\s*=\s*(?!"data:)|url\(|@import|<script|<link|<iframe""")


def parsed(text: str):
    """The tree of a page, which is valid, and for which a browser needs nothing else."""
    document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    assert not OUTSIDE.search(text)
    assert document.find(".//meta[@http-equiv]").get("content").startswith("default-src 'none'")
    assert document.get("lang") == "en"
    for picture in document.iterfind(".//img"):
        kind, data = re.fullmatch(r"data:image/([\w+]+);base64,(.+)", picture.get("src")).groups()
        assert base64.b64decode(data, validate=True).startswith({"png": b"\x89PNG", "svg+xml": b"<?xml"}[kind])
        assert picture.get("alt")
    return document


def words(document) -> str:
    return " ".join(" ".join(document.itertext()).split())


def cells(document) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in document.iterfind(".//tr")]


def page(path: str):
    return parsed(Path(path).read_text())


def test_of_measure(cli, small: Path) -> None:
    result = cli("measure", small, "--estimate", "--part", "lfe5u-85f", "--part", "xc7a35t", "--report", "m.html")
    assert "report in m.html" in result.stderr
    found = page("m.html")
    one = estimate(load_checkpoint(small).network, sized(load_checkpoint(small).network), PARTS["lfe5u-85f"])
    table = {row[0]: row[1:] for row in cells(found)}
    for name, text in figures(one).items():
        assert table[name][0] == text
        assert GLOSSARY[name] in words(found)
    assert len(found.findall(".//img")) == 2  # bars and diagram
    assert load_checkpoint(small).digest in words(found)
    assert f"fivebyfive measure {small} --estimate" in words(found).replace(f"{sys.executable} -m ", "")
    assert f"numpy {np.__version__}" in words(found)


def test_of_explore(cli, small: Path) -> None:
    cli("explore", small, "--estimate", "--part", "lfe5u-85f", "--top", 2, "--report", "new/e.html")
    found = page("new/e.html")
    assert [row for row in cells(found) if "front" in row]
    assert len(found.findall(".//img")) == 2


@pytest.mark.full  # as the others are made; its table: test_compare.py
def test_of_compare(cli, fake_tools: Path, small: Path, few_digits: Path) -> None:
    cli("compare", small, "--data", few_digits, "--report", "c.html")
    found = page("c.html")
    table = {row[0]: row[1:] for row in cells(found)}
    assert table["cycles"] == ["1,000"]
    assert "fake yosys" in words(found)
    assert f"checkpoint small {load_checkpoint(small).digest}" in words(found)
    assert len(found.findall(".//img")) == 2


def test_of_compress(answer, small: Path, few_digits: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("constriction")
    report = answer("compress", "magnitude", small, "--keep", "fc1=0.2", "--epochs", 0, "--data", few_digits,
                    "--out", "g.npz", "--report", "g.html")  # fmt: skip
    found = page("g.html")
    assert ["magnitude", "2-3-7-10", str(report["held_out"]["errors"])] in [row[:3] for row in cells(found)]
    assert ["bytes", f"{report['bytes']:,}"] in cells(found)
    assert report["digest"] in words(found)
    assert report["start"] in words(found)


def test_of_simulate_with_a_picture_on_standard_input(small: Path) -> None:
    """Drawn in the terminal besides: a pipe here."""
    pixels = load_dataset().images[0]
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    line = ["simulate", str(small), "--images", "-", "--show", "--report", "s.html"]
    result = click.testing.CliRunner().invoke(main, line, input=picture.getvalue())
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("class ")
    assert "image standard input" in result.stdout.splitlines()[0]
    assert "logits: fc2" in result.stdout
    found = page("s.html")
    said = "standard input: every value of conv1, conv2, fc1, fc2 equals the golden model's."
    assert found.find(".//p[@class='equal']").text == said
    assert ["standard input", "-"] in [row[:2] for row in cells(found)]
    assert len(found.findall(".//img")) == 2
    assert [row[0] for row in cells(found) if row[0].startswith("verilog of ")]
    assert "--show draws for people" in click.testing.CliRunner().invoke(main, [*line, "--json"]).stderr


def test_a_difference_is_told(small: Path) -> None:
    table = Rows("images", ("<image", "class"), [("<b>&\x1b[31m\udcff", "7")])
    made = Page("5 < 7", ["first difference: here"], [table], [], {}, verdict=False)
    text = rendered(made)
    found = parsed(text)
    assert found.find(".//p[@class='different']").text == "first difference: here"
    assert ["<b>&\\x1b[31m\\udcff", "7"] in cells(found)
    assert found.find(".//title").text == found.find(".//h1").text == "5 < 7"
    assert text.isascii()


def test_every_figure_has_a_sentence(small: Path) -> None:
    """Names of columns and rows of every table that a page may have."""
    report = {
        "conv_limit_cycles": 1, "conv_cycles": 2, "fc_limit_cycles": 1, "fc_cycles": 2, "latency_cycles": 3,
        "interval_cycles": 4, "products_a_cycle": 1.0, "utilization": 0.5, "multipliers": 45,
    }  # fmt: skip
    training = {"held_out": {"images": 1, "errors": 0, "wraps": {"a": 1}, "peak": {"a": 1}}, "test": None}
    one = estimate(load_checkpoint(small).network, sized(load_checkpoint(small).network), PARTS["xc7a35t"])
    steps = {"steps": [], "seeds": [], "bytes": 1, "huffman_bytes": 1}
    names = [name for rows in (cycle_rows(report), training_rows(training), step_rows(steps), size_rows(steps),
             seed_rows(steps)) for name in rows.figures]  # fmt: skip
    names += [*figures(one), *(name.lstrip("<") for name in (*COLUMNS, *EXPLORED)), "image", "label", "class"]
    names += [name.removeprefix("other-hands-") for name in SUITES["other-hands"][1:]]
    assert [name for name in names if name and name not in GLOSSARY] == []
    assert all(text.endswith(".") for text in GLOSSARY.values())


def test_what_is_refused(refused, small: Path) -> None:
    Path("folder.html").mkdir()
    words = ("measure", small, "--estimate", "--report")
    assert "m.pdf is not the name of a page; name it m.html" in refused(*words, "m.pdf")
    assert "folder.html" in refused(*words, "folder.html")
    Path("in.html").write_bytes(small.read_bytes())
    assert "is what the work starts from" in refused("measure", "in.html", "--estimate", "--report", "in.html")
    assert "another result is called" in refused("simulate", small, "--out", "x.html", "--report", "./x.html")
    assert "come after the METHOD" in refused("compress", "--report", "x.html", "tune", small)


def test_a_picture_is_a_uri() -> None:
    assert Picture("a", "b", ".png", b"\x00\x01").source == "data:image/png;base64,AAE="
