"""A row of the table that measure prints, from a cycle plan and figures of tools; and the area model."""

import json
import subprocess
import sys

import pytest

from fivebyfive.model.estimates.area import TABLE, estimate_area
from fivebyfive.model.estimates.measurement import estimate, measurement
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.shape import LeNetShape

CAFFE = LeNetShape(20, 50, (500, 10)).network
AREA = {"lut": 3_000, "lutram": 1_000, "ff": 5_000, "dsp": 45, "bram": 100}


def routed(*speeds: float) -> list[dict]:
    return [{"fmax_mhz": speed, "path": [f"to {speed}"], "path_ns": 1.0, "logic_ns": 0.5} for speed in speeds]


def test_rates_follow_from_frequency_and_interval() -> None:
    one = measurement(CAFFE, Config(), PARTS["lfe5u-85f"], AREA, routed(130, 110, 150))
    cycles = plan(CAFFE, Config())
    assert (one.interval_cycles, one.latency_cycles) == (cycles.interval, cycles.latency)
    assert (one.fmax_mhz, one.fmax_seeds_mhz) == (130, [110, 130, 150])
    assert one.images_per_s == pytest.approx(130e6 / cycles.interval, abs=0.1)
    assert one.images_per_s_per_multiplier == pytest.approx(one.images_per_s / 45, abs=0.01)
    assert one.critical_path["path"] == ["to 130"]
    assert one.fits
    assert one.percent["lut"] == pytest.approx(100 * 4_000 / 83_640, abs=0.1)  # logic and RAM


def test_a_frequency_that_was_not_routed_is_none() -> None:
    one = measurement(CAFFE, Config(), PARTS["xc7z020"], AREA)
    assert (one.fmax_mhz, one.images_per_s, one.images_per_s_per_multiplier, one.critical_path) == (None,) * 4


def test_what_does_not_fit_says_by_how_much_and_where_it_would() -> None:
    one = measurement(CAFFE, Config(), PARTS["xc7z010"], AREA)
    assert not one.fits
    assert one.missing == {"bram": 40}
    assert one.fits_in[:2] == ["xc7z020", "xc7a100t"]


@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_the_area_model_grows_with_the_machine(family: str) -> None:
    small, large = (estimate_area(CAFFE, config, family) for config in (Config(), Config(4, 5, 6)))
    assert (small["dsp"], large["dsp"]) == (45, 620)
    assert all(0 < small[what] < large[what] for what in ("lut", "lutram", "ff"))
    report = json.loads(TABLE.read_text())[family]
    assert max(report["largest_error_percent"].values()) < 30


def test_an_estimate_has_all_but_a_frequency() -> None:
    one = estimate(CAFFE, Config(), PARTS["lfe5u-85f"])
    assert one.estimated
    assert one.fits
    assert one.fmax_mhz is None
    assert one.interval_cycles == plan(CAFFE, Config()).interval


def test_estimating_needs_no_hardware_and_no_tools() -> None:
    code = "import sys, fivebyfive.cli; fivebyfive.cli.main(['measure', '--estimate', '--json'], standalone_mode=False)"
    check = "import atexit, sys; atexit.register(lambda: print([n for n in ('amaranth', 'cocotb', 'pyosys', "
    check += "'matplotlib', 'distributed') if n in sys.modules], file=sys.stderr)); "
    done = subprocess.run([sys.executable, "-c", check + code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert json.loads(done.stdout)["estimated"]
