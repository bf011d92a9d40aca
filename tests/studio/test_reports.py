"""Pages of --report in Chromium: they need nothing else, fit any window, and print."""

from pathlib import Path

import click.testing
import pytest

from fivebyfive.cli import main
from fivebyfive.model.checkpoint import SHIPPED

from .page import Visited

NARROW = str(SHIPPED.with_name("narrow.npz"))
REPORTS = {
    "measure": ("measure", NARROW, "--estimate", "--part", "lfe5u-85f", "--part", "xc7a35t"),
    "explore": ("explore", NARROW, "--estimate", "--part", "lfe5u-85f", "--top", "2"),
    "compare": ("compare", NARROW, "--no-synthesis", "--rtl-images", "0", "--workers", "1", "--out", "table"),
    "simulate": ("simulate", NARROW, "--images", "2", "--simulator", "icarus"),
    "compress": ("compress", "magnitude", NARROW, "--keep", "fc1=0.2", "--epochs", "0", "--out", "new.npz"),
}
CASES = [pytest.param(name, marks=() if name == "measure" else pytest.mark.full) for name in REPORTS]


@pytest.mark.parametrize("name", CASES)
def test_a_report(browser, tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = click.testing.CliRunner().invoke(main, [*REPORTS[name], "--report", "report.html"])
    assert result.exit_code == 0, result.output
    for width, theme in ((1280, "light"), (380, "dark")):
        report = Visited(browser, (tmp_path / "report.html").as_uri(), width, theme, offline=True)
        report.check_width()
        report.check_accessibility()
        pictures = report.page.evaluate("[...document.images].map(one => one.complete && one.naturalWidth > 0)")
        assert pictures
        assert all(pictures)
        pages = report.page.pdf()
        report.page.context.close()
        assert pages.startswith(b"%PDF-")
        assert report.wrong == []
