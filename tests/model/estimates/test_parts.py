"""The list of parts."""

import pytest

from fivebyfive.model.estimates.parts import PARTS, find_part, parts_that_hold
from fivebyfive.support.errors import UserError


def test_a_part_is_found_by_its_name() -> None:
    part = find_part("LFE5U-85F")
    assert (part.family, part.dsp, part.bram, part.device, part.grade) == ("ecp5", 156, 208, "85k", 8)
    assert find_part("xc7z020").device is None
    with pytest.raises(UserError, match=r"part xc9 is not known; the parts are xc7z010, .*lfe5u-85f"):
        find_part("xc9")


def test_figures_of_the_data_sheets() -> None:
    """LUT, FF, DSP, block RAM."""
    sheet = {
        "xc7z010": (17_600, 35_200, 80, 60), "xc7z020": (53_200, 106_400, 220, 140),
        "xc7a35t": (20_800, 41_600, 90, 50), "xc7a100t": (63_400, 126_800, 240, 135),
        "xc7vx690t": (433_200, 866_400, 3_600, 1_470), "lfe5u-45f": (43_848, 43_848, 72, 108),
    }  # fmt: skip
    for name, figures in sheet.items():
        part = PARTS[name]
        assert (part.lut, part.ff, part.dsp, part.bram) == figures
    assert all(part.device for part in PARTS.values() if part.family == "ecp5")


def test_what_is_missing_and_where_it_fits() -> None:
    used = {"lut": 10_000, "ff": 20_000, "dsp": 231, "bram": 60.5}
    assert PARTS["xc7z020"].missing(used) == {"dsp": 11}
    assert PARTS["xc7z020"].percent(used)["dsp"] == 105
    assert PARTS["xc7z010"].missing(used) == {"dsp": 151, "bram": 0.5}
    assert parts_that_hold("xc7", used)[0] == "xc7a100t"
    assert parts_that_hold("ecp5", used) == []
