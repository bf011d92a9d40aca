"""measure and explore: what they print, write and refuse. Tools are fakes that answer at once, but for one test."""

import json
import os
import re
from pathlib import Path

import click.testing
import pytest

from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.estimates.measurement import estimate
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.jobs import workers
from fivebyfive.support.sidecars import move
from fivebyfive.verify.bench import bench, page

from .conftest import SMALL, one_line

KEYS = {
    "part", "multipliers", "interval_cycles", "latency_cycles", "utilization", "lut", "ff", "dsp", "bram", "percent",
    "fmax_mhz", "fits", "images_per_s", "images_per_s_per_multiplier",
}  # fmt: skip


def done_units(fake_tools: Path) -> list[str]:
    return (fake_tools / "done").read_text().splitlines()


def test_measure_tells_all_there_is_to_know(answer, fake_tools: Path, small: Path) -> None:
    report = answer("measure", small, "--part", "LFE5U-45F", "--seeds", 3)
    assert set(report) >= KEYS
    assert (report["part"], report["multipliers"], report["fits"]) == ("lfe5u-45f", 45, True)
    assert (report["fmax_mhz"], report["fmax_seeds_mhz"]) == (120, [110, 120, 130])
    cycles = plan(SMALL.network, Config())
    assert (report["interval_cycles"], report["latency_cycles"]) == (cycles.interval, cycles.latency)
    assert report["images_per_s"] == pytest.approx(120e6 / cycles.interval, abs=0.1)
    assert report["tools"] == ["fake yosys", "fake nextpnr"]
    assert json.loads(Path("build/measure/measure.json").read_text()) == report
    assert "| max frequency | 120.0 MHz (median of 3, 110 to 130) |" in Path("build/measure/measure.md").read_text()
    assert Path("build/measure/measure.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir("build/measure")) == [".measure.sha256", "measure.json", "measure.md", "measure.png"]


def test_packed_as_each_part_s_multipliers_are(answer, small: Path) -> None:
    words = ("measure", small, "--estimate", "--packed", "--conv-pes", 4, "--part", "lfe5u-85f", "--part", "xc7z020")
    ecp5, xc7 = answer(*words)["results"]
    assert (ecp5["config"]["dsp_size"], ecp5["dsp"], xc7["dsp"]) == ("18x18", 60, 60)
    assert "dsp_size" not in xc7["config"]
    assert ecp5["lut"] > answer(*(word for word in words if word != "--packed"))["results"][0]["lut"]
    asked = answer(*words, "--dsp-size", "18x18")["results"]
    assert {one["config"]["dsp_size"] for one in asked} == {"18x18"}


def test_a_second_call_does_nothing_again(answer, fake_tools: Path, small: Path) -> None:
    words = ("measure", small, "--part", "lfe5u-45f", "--part", "xc7z020")
    first = answer(*words)
    assert [one["part"] for one in first["results"]] == ["lfe5u-45f", "xc7z020"]
    assert first["results"][1]["fmax_mhz"] is None
    assert len(done_units(fake_tools)) == 3
    assert answer(*words) == first
    assert len(done_units(fake_tools)) == 3
    answer(*words, "--seeds", 2)
    assert len(done_units(fake_tools)) == 4
    answer(*words, "--fc-rows", 2)
    assert len(done_units(fake_tools)) == 7


@pytest.mark.full  # the table of `compare` is one
def test_a_table_for_people(cli, fake_tools: Path, small: Path) -> None:
    said = cli("measure", small, "--part", "lfe5u-45f", "--part", "lfe5u-12f", "--part", "xc7z010").stdout
    said = " ".join(said.split())
    assert "multipliers 45 (25 + 20) 45 (25 + 20) 45 (25 + 20)" in said
    assert "no, 17 DSP, 8 block RAM too many; lfe5u-45f" in said.replace(" lfe5um5g", "") or "17 DSP" in said
    assert "critical path on lfe5u-45f: 9.00 ns, 4.00 ns of it logic" in said
    assert "not routed" in said


def test_what_does_not_fit_is_not_routed(answer, fake_tools: Path, small: Path) -> None:
    report = answer("measure", small, "--part", "lfe5u-12f")
    assert (report["fits"], report["fmax_mhz"], report["images_per_s"]) == (False, None, None)
    assert report["missing"] == {"dsp": 17, "bram": 8}
    assert "lfe5u-45f" in report["fits_in"]
    assert not any("routing" in line for line in done_units(fake_tools))


@pytest.mark.parametrize("option", ["--skip-zeros", "--winograd"])
def test_an_estimate_knows_no_machine_of_these_options(refused, small: Path, option: str) -> None:
    said = refused("measure", small, "--estimate", option)
    assert f"the area model does not know machines with {option}; leave --estimate out" in said


def test_an_estimate_writes_nothing(answer, small: Path) -> None:
    report = answer("measure", small, "--estimate", "--part", "xc7z020", "--conv-pes", 4)
    assert report["estimated"]
    assert report["fmax_mhz"] is None
    assert report["dsp"] == 120
    assert os.listdir(".") == []


def test_what_measure_refuses(refused, fake_tools: Path, small: Path) -> None:
    assert "part xc6 is not known; the parts are xc7z010, " in refused("measure", small, "--part", "xc6")
    assert "not 51" in refused("measure", small, "--conv-pes", 51)
    assert "not 26" in refused("measure", small, "--fc-rows", 26)
    assert "0 is not in the range" in refused("measure", small, "--seeds", 0)
    Path("file").touch()
    assert "cannot write file/measure.json" in refused("measure", small, "--out", "file")


def test_tools_that_fail_are_quoted(cli, fake_tools: Path, small: Path) -> None:
    (fake_tools / "fail").write_text("nextpnr-ecp5 failed on lfe5u-45f, seed 1:\nInfo: placing\nERROR: no room left")
    for command in ("measure", "explore"):
        said = cli(command, small, "--part", "lfe5u-45f", code=2).stderr
        assert "nextpnr-ecp5 failed on lfe5u-45f, seed 1:" in said
        assert "ERROR: no room left" in said
        assert "Traceback" not in said


def test_no_nextpnr(refused, fake_tools: Path, monkeypatch, small: Path) -> None:
    from fivebyfive.sim.fpga import nextpnr

    monkeypatch.setattr(nextpnr, "WHEEL", "no_such_module")
    monkeypatch.setattr(nextpnr, "NATIVE", "no-such-program")
    assert "pip install 'fivebyfive[fpga]'" in refused("measure", small)


@pytest.mark.parametrize("suffix", [".md", ".json"])
def test_a_kill_between_picture_and_table(cli, fake_tools: Path, monkeypatch, small: Path, suffix: str) -> None:
    """The picture of another measurement must not stay for ever beside a table that is as it should be."""

    def stops(new: Path, path: Path) -> None:
        if path.suffix == suffix:
            raise KeyboardInterrupt
        move(new, path)

    whole = ("measure", small, "--part", "xc7z020", "--out")
    cli(*whole, "whole")
    cli("measure", small, "--part", "xc7a100t", "--out", "again")
    with monkeypatch.context() as patch:
        patch.setattr("fivebyfive.support.sidecars.move", stops)
        cli(*whole, "again", code=130)
    cli(*whole, "again")
    for name in ("measure.json", "measure.md", "measure.png"):
        assert Path("again", name).read_bytes() == Path("whole", name).read_bytes()


def test_no_matplotlib(cli, fake_tools: Path, monkeypatch, small: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    result = cli("measure", small, "--part", "xc7z020")
    assert "No picture: the picture needs matplotlib; install it: pip install 'fivebyfive[plot]'" in result.stderr
    assert sorted(os.listdir("build/measure")) == [".measure.sha256", "measure.json", "measure.md"]


@pytest.mark.full  # in every test run: that of `compare`
def test_real_synthesis_of_a_small_network(answer, cache: Path, tmp_path: Path) -> None:
    """Yosys itself, for the 7 series; `tests/sim/fpga/test_route.py` has nextpnr itself."""
    from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint

    save_checkpoint(tmp_path / "mini.npz", Checkpoint.random(LeNetShape(1, 1, (10,)), seed=1))
    report = answer("measure", tmp_path / "mini.npz", "--part", "xc7z010")
    assert (report["dsp"], report["fits"], report["fmax_mhz"]) == (45, True, None)
    guess = estimate(LeNetShape(1, 1, (10,)).network, Config(), PARTS["xc7z010"])
    assert report["lut"] == pytest.approx(guess.lut, rel=0.5)


def test_explore_draws_the_front(answer, fake_tools: Path) -> None:
    report = answer("explore", "--part", "lfe5u-85f", "--top", 3)
    assert len(report["results"]) == 3
    assert report["swept"] > 300
    intervals = [one["interval_cycles"] for one in report["results"]]
    assert intervals == sorted(intervals)
    assert report["front"]
    front = [report["results"][index] for index in report["front"]]
    full = [sum(one["percent"].values()) for one in front]
    assert full == sorted(full, reverse=True)
    assert all(one["fits"] and one["fmax_mhz"] for one in front)
    assert json.loads(Path("build/explore/explore.json").read_text()) == report
    assert Path("build/explore/explore.md").read_text().count(" front |") == len(front)
    assert Path("build/explore/explore.png").read_bytes().startswith(b"\x89PNG")


def test_explore_for_people_and_without_routing(cli, fake_tools: Path) -> None:
    said = cli("explore", "--part", "xc7z020", "--top", 2).stdout
    assert "20-50-500-10 on xc7z020: 2 of " in said
    assert " front" in said
    assert not any("routing" in line for line in done_units(fake_tools))


def test_explore_from_the_models_alone(answer) -> None:
    report = answer("explore", "--part", "xc7z045", "--estimate", "--top", 5)
    assert all(one["estimated"] for one in report["results"])
    assert len(report["results"]) == 5


def test_the_fastest_take_several_pixels_at_once(answer, cli) -> None:
    """A small network on a large part waits for its pixels, one at a time; where it does not, it gets one."""
    words = ("explore", SHIPPED.with_name("narrow.npz"), "--part", "xc7z045", "--estimate", "--top", 3)
    results = answer(*words, "--goal", "fps")["results"]
    assert [(one["config"]["pixels"], one["interval_cycles"]) for one in results] == [(2, 464), (2, 732), (1, 856)]
    assert "800 + 40, 2 pixels" in cli(*words, "--goal", "fps").stdout
    assert {one["config"]["pixels"] for one in answer(*words)["results"]} == {1}


def test_explore_goes_on_where_it_was_interrupted(cli, answer, fake_tools: Path, monkeypatch) -> None:
    run = workers.LocalPool.run

    def interrupted(pool, units):
        yield next(one for one in run(pool, units) if one)
        raise KeyboardInterrupt

    words = ("explore", "--part", "xc7z045", "--top", 3, "--workers", 1)
    with monkeypatch.context() as patch:
        patch.setattr(workers.LocalPool, "run", interrupted)
        said = cli(*words, code=130).stderr
    assert "What is finished is kept; the same command goes on from there." in said
    before = done_units(fake_tools)
    assert len(before) in (1, 2)
    report = answer(*words)
    assert len(done_units(fake_tools)) == len(report["results"]) == 3


@pytest.mark.full  # workers: tests/sim/jobs/test_workers.py
def test_explore_survives_a_worker_that_dies(answer, fake_tools: Path) -> None:
    (fake_tools / "die").touch()
    report = answer("explore", "--part", "xc7z045", "--top", 3)
    assert (len(report["results"]), report["failures"]) == (3, [])


def test_what_explore_refuses(cli, refused, fake_tools: Path, monkeypatch, small: Path) -> None:
    monkeypatch.setattr(workers, "CONNECT_S", 1.0)
    assert "part xc6 is not known" in refused("explore", small, "--part", "xc6")
    assert "Missing option '--part'" in refused("explore", small)
    result = cli("explore", small, "--part", "xc7z020", "--scheduler", "tcp://127.0.0.1:9", code=2)
    assert "the Dask cluster at tcp://127.0.0.1:9 cannot be reached" in one_line(result.stderr)


def test_a_network_too_large_for_the_part(cli) -> None:
    result = cli("explore", "--part", "lfe5u-12f", code=2)
    assert "even the smallest is too large" in one_line(result.stderr)


def test_the_page_of_figures_has_a_source_for_each_row() -> None:
    shape = LeNetShape(20, 50, (500, 10))
    configs = [Config(), Config(4)]
    text = page(shape, [estimate(shape.network, config, PARTS["lfe5u-85f"]) for config in configs], configs)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    same = [row for row in rows if len(row) == 7]
    assert all(row[5].strip() for row in same)
    assert any("Lenet_Accelerator" in row[0] and row[3] == "92.0 %" for row in same)
    assert f"{plan(shape.network, Config()).interval:,}" in text


def test_bench_writes_the_page_from_measurements(fake_tools: Path) -> None:
    result = click.testing.CliRunner().invoke(bench, ["--seeds", "2", "--out", "performance.md"])
    assert result.exit_code == 0, result.output
    text = Path("performance.md").read_text()
    for size in ("25 + 20", "100 + 20", "250 + 60", "500 + 120", "1,250 + 260"):
        assert re.search(rf"^\| \*\*fivebyfive, {re.escape(size)}\*\*", text, re.M)
    assert "| 25 + 20 | lfe5u-85f |" in text
    assert "115.0 MHz (median of 2, 110 to 120)" in text
    routed = [line for line in done_units(fake_tools) if line.startswith("routing")]
    assert len(routed) == 4  # two sizes that fit, two seeds
