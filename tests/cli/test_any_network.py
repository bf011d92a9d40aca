"""Networks that are not of the brief's form, through the commands: padding, tables, averages, several channels; without
fully-connected layers, without convolutions, with a single one."""

import json
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.api import Network, load
from fivebyfive.commands.draw import state_names
from fivebyfive.hw.conv.conv_controller import conv_states
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.images import load_images
from fivebyfive.model.description import parse, written
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized
from fivebyfive.output.block_diagram import blocks
from fivebyfive.output.picture import Digit, code_range, draw_digits
from fivebyfive.sim.jobs.measurement_jobs import Routing, Synthesis, generate_design
from fivebyfive.sim.jobs.tables import tables_of, tables_text

CONV, FC = {"kind": "conv", "kernel": 3}, {"kind": "fc"}
DESCRIPTIONS = {
    "average": ((2, 8, 9), [
        CONV | {"name": "a", "outputs": 3, "padding": 1, "fill": -5, "then": ["table", {"average": 2}]},
        CONV | {"name": "b", "outputs": 4, "stride": 2, "then": ["relu"]},
        FC | {"name": "f", "outputs": 6, "then": ["table"]}, FC | {"name": "g", "outputs": 5},
    ]),
    "no-fc": ((1, 10, 10), [
        CONV | {"name": "a", "outputs": 4, "kernel": 5, "then": ["relu", {"max": 2}]},
        CONV | {"name": "b", "outputs": 6, "padding": 1, "then": [{"average": 3}]},
    ]),
    "separable": ((1, 9, 8), [
        CONV | {"name": "a", "outputs": 4}, CONV | {"name": "b.depthwise", "outputs": 4, "groups": 4},
        CONV | {"name": "b.pointwise", "outputs": 5, "kernel": 1, "then": ["relu"]}, FC | {"name": "f", "outputs": 3},
    ]),
    "one-conv": ((1, 7, 7), [CONV | {"name": "only", "outputs": 4, "kernel": 7, "padding": 3, "then": [{"max": 7}]}]),
    # Layers may be called as the files of a run.
    "one-fc": ((3, 4, 4), [FC | {"name": "classes", "outputs": 7}, FC | {"name": "class", "outputs": 4}]),
}  # fmt: skip


def checkpoint_of(name: str) -> Checkpoint:
    size, layers = DESCRIPTIONS[name]
    return Checkpoint.random(parse(json.dumps({"input": size, "layers": layers})), seed=4)


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file of a network, with two images for it in images.npy."""
    checkpoint = checkpoint_of(request.param)
    save_checkpoint(tmp_path / f"{request.param}.npz", checkpoint)
    np.save("images.npy", np.random.default_rng(5).integers(0, 256, (2, *checkpoint.network.input), np.uint8))
    return tmp_path / f"{request.param}.npz"


LIKE_OTHERS = ("one-conv", "one-fc")  # what they have, the others have, too
CASES = [pytest.param(name, marks=pytest.mark.full if name in LIKE_OTHERS else ()) for name in DESCRIPTIONS]
every = pytest.mark.parametrize("path", CASES, indirect=True)


@every
def test_what_is_generated_is_simulated(answer, cli, path: Path) -> None:
    """In Icarus, every value; cycles are those of the model. The manifest tells input, layers and tables."""
    checkpoint = load(path).checkpoint
    network = checkpoint.network
    said = cli("generate", path, "--out", "v").stdout
    assert f"Top module lenet: {network.summary}, " in said
    manifest = json.loads(Path("v/manifest.json").read_text())
    assert manifest["checkpoint"]["network"] == written(network)
    channels, rows, columns = network.input
    order = "channel after channel, in each row by row"
    assert manifest["input"] == {
        "channels": channels, "rows": rows, "columns": columns, "pixels": network.pixels, "order": order,
    }  # fmt: skip
    assert [one["gives"] for one in manifest["layers"]] == [list(shape) for shape in network.outputs.values()]
    assert list(manifest["tables"]) == list(checkpoint.tables)
    assert manifest["config"]["kernel"] == sized(network).kernel
    report = answer("simulate", path, "--verilog", "v", "--images", "images.npy", "--simulator", "icarus")
    assert (report["equal"], report["images"], report["layers_compared"]) == (True, 2, list(network.names))
    planned = plan(network, fitted(checkpoint, sized(network)))
    assert (report["conv_cycles"], report["fc_cycles"]) == (planned.conv, planned.fc)


@every
def test_estimates_and_diagrams(answer, path: Path) -> None:
    pytest.importorskip("matplotlib")
    checkpoint = load(path).checkpoint
    network, config = checkpoint.network, fitted(checkpoint, sized(checkpoint.network))
    assert answer("measure", path, "--estimate")["interval_cycles"] == plan(network, config).interval
    assert answer("explore", path, "--part", "xc7z020", "--estimate", "--out", "e")["front"]
    report = answer("draw", "diagram", path, "--out", "a.svg")
    assert len(report["blocks"]) == len(blocks(network, config))  # no two boxes of one name
    assert report["network"] == network.summary


def test_what_a_diagram_says() -> None:
    found = {
        name: blocks(one.network, sized(one.network)) for name, one in ((n, checkpoint_of(n)) for n in DESCRIPTIONS)
    }
    assert "hidden" not in found["separable"]
    assert found["average"]["lines"].lines == ("3 rows of 9", "3x3 windows", "and the padding")
    assert found["average"]["image"].lines == ("2 images of 2 x 8 x 9", "288 bytes")
    assert (found["average"]["before"].title, found["average"]["before"].lines[1]) == ("tables before", "in a")
    assert "tables in f" in found["average"]["rows"].lines
    assert found["no-fc"]["pool"].lines == ("2x2 maximum", "3x3 average", "ReLU")
    assert not {"rows", "inputs", "fc control", "fc weights"} & set(found["no-fc"])
    assert found["separable"]["maps"].lines == ("a: 4 maps of 7 x 6", "168 + 80 bytes")
    assert found["separable"]["pool"].lines == ("passes codes on", "ReLU")
    assert "maps" not in found["one-conv"]
    assert "partial sums of 14 bits" not in found["one-conv"]["array"].lines
    assert "feeder" in found["one-fc"]


@pytest.mark.parametrize("path", ["one-fc"], indirect=True)
def test_layers_that_are_called_as_files_of_a_run(answer, path: Path) -> None:
    words = ("simulate", path, "--images", "images.npy", "--simulator", "icarus", "--waves", "--folder", "run")
    report = answer(*words)
    assert report["equal"]
    arrays = dict(load(path).checkpoint.arrays)
    arrays["class.bias"] = arrays["class.bias"] ^ 1
    save_checkpoint(path, Checkpoint(load(path).checkpoint.network, arrays))
    answer("generate", path, "--out", "v")
    arrays["class.bias"] = arrays["class.bias"] ^ 1
    save_checkpoint(path, Checkpoint(load(path).checkpoint.network, arrays))
    words = ("simulate", path, "--verilog", "v", "--images", "images.npy", "--simulator", "icarus")
    found = answer(*words, code=1)["difference"]
    assert (found["layer"], found["output"]) == ("class", 0)


def test_a_manifest_of_version_0_1_0(answer, cli, small: Path) -> None:
    """It has no kernel and no pixels in its sizes, and tells neither input nor layers."""
    cli("generate", small, "--out", "v")
    manifest = json.loads(Path("v/manifest.json").read_text())
    for name in ("input", "layers", "tables"):
        del manifest[name]
    del manifest["config"]["kernel"], manifest["config"]["pixels"]
    Path("v/manifest.json").write_text(json.dumps(manifest))
    np.save("i.npy", np.full((1, 28, 28), 99, np.uint8))
    report = answer("simulate", small, "--verilog", "v", "--images", "i.npy", "--simulator", "icarus", "--logits-only")
    assert (report["equal"], report["config"]["kernel"]) == (True, 5)


def test_jobs_carry_the_tables() -> None:
    """A table is logic: its codes are part of what is synthesized."""
    checkpoint = checkpoint_of("average")
    text = tables_text(checkpoint.tables)
    again = tables_of(text)
    assert all(np.array_equal(again[name], table) for name, table in checkpoint.tables.items())
    assert tables_text({}) == ""
    assert tables_of("") == {}
    config, network = sized(checkpoint.network), written(checkpoint.network)
    wanted = generate(checkpoint, config).design.memories
    tables = {name for name in wanted if name.endswith("_tables.mem")}
    assert len(tables) == 2
    for job in (Synthesis(network, config, "xc7", text), Routing(network, config, "lfe5u-85f", 1, text)):
        made = generate_design(job).memories
        assert {name: made[name] for name in tables} == {name: wanted[name] for name in tables}
    assert str(Synthesis(network, config, "xc7", text)).startswith("synthesis for xc7 of 2x8x9, a 3x4x4, b 4x1x1")


@pytest.mark.parametrize("path", ["no-fc"], indirect=True)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("draw", "diagram", "--early-fc"), "has no fully-connected layers, so no work for early_fc; leave that out"),
        (("simulate",), "takes images of 10x10, but these have 28x28; give uint8 (N, 10, 10) as numpy.save writes it"),
        (("compare", "--no-synthesis"), "takes images of 10x10, but these have 28x28; compare no-fc without"),
    ],
)
def test_what_is_refused(refused, path: Path, words: tuple, said: str) -> None:
    if words[0] == "compare":
        pytest.importorskip("constriction")
    command = [word for word in words if word in ("draw", "diagram", "generate", "simulate", "pack", "compare")]
    assert said in refused(*command, path, *words[len(command) :])


@pytest.mark.parametrize("path", ["no-fc", "average"], indirect=True)
def test_pack_takes_any_network(answer, path: Path) -> None:
    pytest.importorskip("constriction")
    packed = answer("pack", path, "--out", "a.bin")
    assert packed["bytes"] > 0
    answer("unpack", "a.bin", "--out", "b.npz")
    assert load_checkpoint(Path("b.npz")).digest == load_checkpoint(path).digest


def test_compared_with_the_brief_s_form(answer, few_digits: Path, small: Path, tmp_path: Path) -> None:
    pytest.importorskip("constriction")
    pytest.importorskip("matplotlib")
    network = {"input": [2, 30, 28], "layers": [FC | {"name": "f", "outputs": 10}]}
    save_checkpoint(tmp_path / "two.npz", Checkpoint.random(parse(json.dumps(network)), seed=4))
    words = ("--data", few_digits, "--no-synthesis", "--rtl-images", 0, "--workers", 1)
    two, brief = answer("compare", tmp_path / "two.npz", small, *words)["results"]
    assert two["network"] == "2x30x28, f 10"
    assert min(two["bytes"], brief["bytes"]) > 0


def test_api_takes_the_network_s_images() -> None:
    network = Network(checkpoint_of("average"))
    images = np.random.default_rng(6).integers(0, 256, (3, 2, 8, 9), np.uint8)
    assert (network.accelerator().predict(images, simulator="icarus") == network.predict(images)).all()


@pytest.mark.parametrize("name", CASES)
def test_a_picture_of_any_maps(name: str) -> None:
    network = Network(checkpoint_of(name))
    images = np.random.default_rng(7).integers(0, 256, (2, *network.checkpoint.network.input), np.uint8)
    outputs = network.trace(images).outputs
    digits = [Digit("a", "b", images[n], {name: codes[n] for name, codes in outputs.items()}) for n in range(2)]
    draw_digits(Path("a.png"), "title", "subtitle", digits)
    assert Path("a.png").stat().st_size > 1000
    draw_digits(Path("b.png"), "title", "subtitle", digits[:1])


def test_code_ranges() -> None:
    assert code_range([np.array([-3, 4], np.int8), np.array([9], np.int8)]) == (-3, 9)
    assert code_range([np.array([0], np.int8)]) == (0, 1)


def test_states_are_named_as_in_the_verilog(tmp_path: Path) -> None:
    """Beside a waveform; another number of convolutions gives the same numbers to other states."""
    names = {state.value: state.name for state in conv_states(1).__members__.values()}
    assert names != state_names(tmp_path / "waves.vcd", 4)
    generate(checkpoint_of("one-conv")).design.write(tmp_path)
    assert state_names(tmp_path / "waves.vcd", 4) == names
    assert state_names(Path("waves.vcd"), 4)[12] == "CONV_FINISH"
    assert state_names(Path("waves.vcd"), 5) == {}


def test_images_of_a_network_in_a_picture(tmp_path: Path) -> None:
    """Three channels are red, green and blue."""
    images = load_images("1", (3, 32, 32))
    draw_digits(tmp_path / "a.png", "t", "s", [Digit("a", "b", images.pixels[0], {"f": np.array([1, 2], np.int8)})])
    assert (tmp_path / "a.png").is_file()
