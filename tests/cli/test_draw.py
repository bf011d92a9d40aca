"""Pictures of an accelerator and of a waveform: what is in them, and what cannot be drawn."""

from pathlib import Path

import numpy as np
import pytest

from fivebyfive.hw.fc.bank_weight_memory import BankWord
from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import Size, sized
from fivebyfive.model.machine.weights import memory_depths, pack
from fivebyfive.output.block_diagram import blocks, stored_bytes
from fivebyfive.output.wave_file import Wanted
from fivebyfive.support.errors import UserError

from .conftest import texts

pytest.importorskip("matplotlib")
pytest.importorskip("pywellen")

PNG = b"\x89PNG\r\n\x1a\n"
HEAD = """$timescale 1ns $end
$scope module lenet $end
$var wire 1 ! clk $end
$var wire 1 a i__valid $end
$var wire 1 b i__ready $end
$var wire 4 c i__payload [3:0] $end
$var real 64 d temperature $end
$scope module conv $end
$var wire 1 e busy $end
$upscope $end
$scope module fc $end
$var wire 1 f busy $end
$upscope $end
$upscope $end
$enddefinitions $end
"""


def wave(path: Path, cycles: int = 40, head: str = HEAD) -> Path:
    """A clock that rises at 0, 10, 20, ... ns; valid in cycles 7 and 8, with payloads 9 and 10; ready from 8 on."""
    lines = [head, "#0", "1!", "0a", "0b", "b00x1 c", "r1.5 d", "0e", "1f"]
    for cycle in range(1, cycles):
        lines += [f"#{10 * cycle - 5}", "0!", f"#{10 * cycle}", "1!"]
        lines += {6: ["1a", "b1001 c"], 7: ["1b", "b1010 c"], 8: ["0a", "b1111 c"]}.get(cycle, [])
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def waves() -> Path:
    return wave(Path("w.vcd"))


def test_what_a_flip_flop_takes(answer, waves: Path) -> None:
    """What follows an edge is taken at the next one; cycles have the numbers of their times."""
    report = answer(
        "draw", "waves", waves, "--signal", "i__valid", "--signal", "i__payload", "--from", 5, "--cycles", 5
    )
    assert (report["first"], report["last"]) == (5, 9)
    assert report["signals"] == {
        "i__valid": ["0", "0", "1", "1", "0"],
        "i__payload": ["00x1"] * 2 + ["1001", "1010", "1111"],
    }
    assert Path(report["out"]) == Path("build/waves.svg")


def test_a_window_begins_where_something_happens(answer, waves: Path) -> None:
    assert answer("draw", "waves", waves, "--cycles", 4)["first"] == 5  # i__valid in cycle 7
    assert answer("draw", "waves", waves, "--when", "i__ready", "--cycles", 4)["first"] == 6
    assert answer("draw", "waves", waves, "--when", "i__ready", "--from", 20, "--cycles", 4)["first"] == 18
    assert answer("draw", "waves", waves, "--when", "i__ready", "--from", 39, "--cycles", 10)["first"] == 30
    assert answer("draw", "waves", waves, "--when", "fc.busy", "--cycles", 1)["first"] == 0
    assert answer("draw", "waves", waves, "--from", 38)["last"] == 39


def test_bits_and_formats(answer, waves: Path) -> None:
    words = ("--signal", "i__payload[3]", "--signal", "lenet.i__payload[2:1]:signed", "--from", 7, "--cycles", 2)
    report = answer("draw", "waves", waves, *words, "--out", "a.svg")
    assert report["signals"] == {"i__payload[3]": ["1", "1"], "lenet.i__payload[2:1]": ["00", "01"]}
    drawn = texts(Path("a.svg"))
    assert {"lenet.i__payload[2:1]", "i__payload[3]", "w.vcd, cycles 7 to 8", "0", "1"} <= drawn
    assert Wanted.parse("a[b]:dec") == Wanted("a[b]", None, "dec", "a[b]")


def test_what_is_drawn(cli, waves: Path) -> None:
    said = cli("draw", "waves", waves, "--out", "a.svg").stdout
    assert said == "4 signals of w.vcd, cycles 5 to 28: a.svg\n"
    assert {"i__valid", "i__ready", "i__payload", "9", "a", "f", "x", "transfer: valid and ready"} <= texts(
        Path("a.svg")
    )
    cli("draw", "waves", waves, "--out", "b.svg")
    assert Path("b.svg").read_bytes() == Path("a.svg").read_bytes()
    cli("draw", "waves", waves, "--out", "a.png", "--cycles", 200)
    assert Path("a.png").read_bytes().startswith(PNG)


def test_names_are_drawn_as_they_are(cli) -> None:
    name = "$a$<b>&[/b]_^{2}"
    path = wave(Path(f"{name[:-4].replace('/', '')}.vcd"), head=HEAD.replace("i__payload", name))
    cli("draw", "waves", path, "--signal", name, "--out", "a.svg", "--from", 7)
    assert name in texts(Path("a.svg"))


def test_a_folder_that_simulate_filled(answer, refused) -> None:
    Path("build/waves").mkdir(parents=True)
    assert "there is no waves.vcd or waves.fst in build/waves; make one with: fivebyfive simulate --waves" in refused(
        "draw", "waves"
    )
    wave(Path("build/waves/waves.vcd"))
    assert answer("draw", "waves")["waves"] == "build/waves/waves.vcd"


def test_waves_of_a_simulation(answer, cli, small: Path, tmp_path: Path) -> None:
    """FST of Icarus; the number of a cycle is that of the bench, and states have names."""
    np.save(tmp_path / "i.npy", np.full((1, 28, 28), 255, np.uint8))
    cli("simulate", small, "--images", tmp_path / "i.npy", "--simulator", "icarus", "--waves")
    report = answer("draw", "waves", "--when", "conv.controller.state", "--cycles", 12)
    assert "PREPARING" in texts(Path(report["out"]))
    pixels = answer("draw", "waves", "--cycles", 4)
    assert pixels["signals"]["i__payload"][-1] == "0" + 8 * "1"
    assert report["signals"]["conv.controller.state"][:3] == ["0000", "0000", "0001"]
    result = answer("draw", "waves", "--when", "o__valid")
    state = [int(bits, 2) for bits in result["signals"]["o__valid"]]
    arrived = pixels["first"] + 2 + 783  # no pauses
    network = load_checkpoint(small).network
    due = arrived + plan(network, sized(network)).latency
    assert result["first"] + state.index(1) == due


def test_waves_that_cannot_be_drawn(refused, waves: Path) -> None:
    def no(*words: object) -> str:
        return refused("draw", "waves", waves, *words)

    assert "w.vcd: it has no signal nothing; gtkwave" in no("--signal", "nothing")
    assert "several signals are called busy: lenet.conv.busy, lenet.fc.busy; write one in full" in no(
        "--signal", "busy"
    )
    assert "temperature is no signal of bits" in no("--signal", "temperature")
    assert "i__payload[4]: there are only bits 3 to 0" in no("--signal", "i__payload[4]")
    assert "with the highest first" in no("--signal", "i__payload[0:3]")
    assert "a signal is shown as hex, dec, signed, bin, not oct" in no("--signal", "i__payload:oct")
    assert "no signal can be called ''" in no("--signal", "")
    assert "it ends with cycle 39; name an earlier one with --from" in no("--from", 40)
    assert "conv.busy is 0 in all cycles from 0 to 39" in no("--when", "conv.busy")
    assert "i__payload has 4 bits; a clock has one" in no("--clock", "i__payload")
    assert "i__valid does not rise twice; name the clock with --clock" in no("--clock", "i__valid")
    assert "w.gif says no kind of picture; name it .svg or .png" in no("--out", "w.gif")
    odd = wave(Path("odd.vcd"), head=HEAD.replace("i__", "p__").replace("busy", "idle"))
    assert "odd.vcd: it has none of the accelerator's signals; name some with --signal" in refused("draw", "waves", odd)


def test_files_that_are_no_waves(refused, waves: Path) -> None:
    assert "cannot read waveform build/waves: No such file" in refused("draw", "waves")
    for content in (
        b"",
        b"hello\n",
        bytes(5000),
        waves.read_bytes()[:300],
        waves.read_bytes().replace(b"b1010", b"b10q0"),
    ):
        Path("bad.vcd").write_bytes(content)
        assert "bad.vcd is not a VCD or FST file, or it is damaged" in refused("draw", "waves", "bad.vcd")


@pytest.mark.parametrize("name", ["lenet", "lenet-300-100", "bank-kernel", "smallest", "binary"])
def test_figures_of_the_diagram(answer, name: str) -> None:
    """Cycles are those of the model; bytes of weights those that the hardware's memories have."""
    path = SHIPPED.with_name(f"{name}.npz")
    report = answer("draw", "diagram", path, "--out", "a.svg")
    network = load_checkpoint(path)
    config = Size().config(network)
    planned, depths = plan(network.network, config), memory_depths(network.network, config)
    lines = {title: " ".join(found) for title, found in report["blocks"].items()}
    assert lines["FC controller"].endswith(f" {planned.fc:,} cycles an image")
    assert f"between results: {planned.interval:,}" in lines["cycle counters"]
    assert f"{depths['fc']:,} words" in lines["FC weight memory"]
    assert f"{stored_bytes(network.network, config)['fc']:,} bytes" in lines["FC weight memory"]
    if network.shape.has_convolutions:
        assert lines["conv controller"].endswith(f" {planned.conv:,} cycles an image")
        assert f"{depths['conv']:,} words of 25" in lines["conv weight memory"]
    drawn = texts(Path("a.svg"))
    assert {text for block in blocks(network.network, config).values() for text in (block.title, *block.lines)} <= drawn
    assert f"{network.shape} ({name}.npz)" in drawn


def test_bytes_of_weights() -> None:
    """Of codes: words times bytes. Of the bank-balanced engine: words of its layout, and a bias for each output."""
    network = load_checkpoint()
    config = Size().config(network)
    image = pack(network, config)
    assert stored_bytes(network.network, config) == {"conv": image.conv.nbytes, "fc": image.fc.nbytes}
    banked = load_checkpoint(SHIPPED.with_name("lenet-300-100.npz"))
    config = Size().config(banked)
    words = sum(map(sum, config.engines.words))
    bits = words * BankWord(1, 40).size + 8 * (memory_depths(banked.network, config)["fc"] - words)
    assert stored_bytes(banked.network, config)["fc"] == -(-bits // 8)


def test_sizes_of_the_diagram(answer, cli, small: Path) -> None:
    report = answer("draw", "diagram", "--conv-pes", 4, "--fc-rows", 3, "--out", "a.svg")
    assert report["blocks"]["conv array"][0] == "4 x 1 PEs, 100 multipliers"
    assert report["blocks"]["fully-connected rows"][0] == "3 x 20 lanes, 60 multipliers"
    said = cli("draw", "diagram", small, "--out", "a.png").stdout
    assert said == "block diagram of 2-3-7-10 of small.npz, 45 products a cycle: a.png\n"
    assert Path("a.png").read_bytes().startswith(PNG)


def test_diagrams_that_cannot_be_drawn(refused, small: Path) -> None:
    assert "a says no kind of picture" in refused("draw", "diagram", small, "--out", "a")
    assert "conv PEs must be 1 to 50" in refused("draw", "diagram", small, "--conv-pes", 51)
    assert "No such command 'diagramm'" in refused("draw", "diagramm")


def test_without_what_draws(refused, waves: Path, small: Path, monkeypatch) -> None:
    from fivebyfive.support import optional

    def missing(name: str):
        raise ImportError(name)

    monkeypatch.setattr(optional.importlib, "import_module", missing)
    assert "the picture needs matplotlib; install it: pip install 'fivebyfive[plot]'" in refused(
        "draw", "diagram", small
    )


def test_an_unprintable_signal() -> None:
    with pytest.raises(UserError, match="no signal can be called"):
        Wanted.parse("a\nb")
