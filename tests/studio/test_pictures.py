"""The pictures of docs/studio.md: `make studio-pictures` writes them into docs/pictures."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from .strokes import DIGITS

PAGE = Path(__file__).parents[2] / "docs" / "studio.md"
COLORS = 256  # of a picture: text stays crisp, and a file has some 100 kB
LARGEST = 250_000  # bytes


def keep(path: Path, png: bytes) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


@pytest.mark.full
def test_pictures(server, open_studio, tmp_path: Path, pytestconfig) -> None:
    folder = pytestconfig.getoption("--pictures") or tmp_path
    studio = open_studio(server)
    assert studio.read(DIGITS[3]) == "3"
    studio.page.wait_for_selector(".wave:not(.old) li path", timeout=30_000)
    studio.page.mouse.move(0, 0)
    studio.page.set_viewport_size({"width": 1280, "height": 1000})
    studio.page.evaluate("scrollTo(0, 0)")
    keep(folder / "studio-result.png", studio.page.screenshot())

    studio.page.locator(".at").fill(str(int(studio.page.locator(".at").input_value()) * 2 // 5))
    studio.page.locator(".at").press("Enter")
    studio.page.locator("#theme").click()
    studio.page.wait_for_selector(".wave:not(.old) li path", timeout=30_000)
    keep(folder / "studio-cycle.png", studio.page.locator(".inside").screenshot())

    studio.page.locator(".beside").click()
    studio.wait_for_machines(2)
    studio.page.locator(".machine").nth(1).locator("select[name=conv_pes]").select_option("4")
    studio.page.wait_for_selector("h2:has-text('100 + 20')", timeout=240_000)
    studio.page.locator("#theme").click()
    assert studio.read(DIGITS[5]) == "5"
    studio.page.evaluate("scrollTo(0, 0)")
    keep(folder / "studio-two.png", studio.page.screenshot())

    phone = open_studio(server, 380, "dark", device_scale_factor=1.5)
    assert phone.read(DIGITS[8]) == "8"
    phone.page.set_viewport_size({"width": 380, "height": 780})
    phone.page.evaluate("scrollTo(0, 0)")
    keep(folder / "studio-phone.png", phone.page.screenshot())

    made = sorted(folder.glob("studio-*.png"))
    assert all(path.stat().st_size < LARGEST for path in made)
    assert {path.name for path in made} == set(re.findall(r"\(pictures/(studio-.*?\.png)\)", PAGE.read_text()))
