"""The command line, from train to demo; `fivebyfive --help` lists the commands.

Each command reads what it is given, calls the function of the same name in a lower room, and reports
(`fivebyfive.output.report`). Heavy modules are imported by the command that needs them.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fivebyfive.commands.options.hold_out import HELD_OUT_OPTIONS, chosen_hold_out, usual_hold_out
from fivebyfive.commands.options.reading import reading_options
from fivebyfive.commands.options.report import check_report, report_option
from fivebyfive.commands.options.size import size_options
from fivebyfive.commands.options.then import Then, then_options
from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.training.stage import CALIBRATIONS, QuantizeConfig
from fivebyfive.model.training.train import TrainConfig
from fivebyfive.output.paths import (
    FileName,
    FolderName,
    InputName,
    check_beside,
    check_file,
    check_folder,
    force_option,
)
from fivebyfive.output.terminal import Commands, Stage, Suggesting, say
from fivebyfive.support.errors import UserError, user_values
from fivebyfive.support.log import log_to_file

if TYPE_CHECKING:
    from fivebyfive.api import Accelerator
    from fivebyfive.model.data.datasets import Dataset
    from fivebyfive.model.readers.state_dict.options import ReadingOptions
    from fivebyfive.model.training.resume import States
    from fivebyfive.model.training.train import Result

__all__ = ["main"]

FILE = InputName()
OUT_FILE, OUT_FOLDER = FileName(), FolderName()
BUILD = Path("build")
REPORT = ".json"  # of a training, beside the checkpoint
OUT_HELP = "The integer checkpoint; its plan with all figures goes beside it, as .toml."

checkpoint_argument = click.argument("checkpoint", metavar="[F.npz]", type=FILE, default=SHIPPED)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
data_option = click.option(
    "--data", default="mnist", show_default=True, metavar="SET",
    help="mnist, fashion-mnist, kmnist, qmnist, emnist-letters (or -balanced, -byclass, ...), cifar-10, cifar-100, "
    "other-hands-soft (or -crisp, -thinned, -thickened, -blurred, -turned, -faint: test images alone), a folder of idx "
    "files, an .npz of x_train, y_train, x_test, y_test, or a folder of pictures in a folder a class.",
)  # fmt: skip


@click.group(
    name="fivebyfive",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="fivebyfive", message="%(prog)s %(version)s")
def main() -> None:
    """A trained network becomes Verilog that agrees with its golden model bit for bit.

    F.npz is an integer checkpoint; without one, commands take the trained LeNet that ships with fivebyfive.
    """
    log_to_file()


def training_options(
    defaults: type[TrainConfig | QuantizeConfig],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options that train and quantize have in common; their defaults are those of the configuration."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            json_option,
            click.option(
                "--threads", type=int, default=defaults.threads, show_default=defaults.threads is not None,
                help="Of PyTorch; another number gives another network.",
            ),
            data_option,
            click.option(
                "--seed", type=int, default=defaults.seed, show_default=True, help="Of all that is random."
            ),
            click.option(
                "--epochs", type=int, default=defaults.epochs, show_default=True, help="Over all images."
            ),
            force_option,
            click.option(
                "--out", type=OUT_FILE, default=BUILD / "lenet.npz", show_default=True,
                help="The integer checkpoint; its report goes beside it, as .json.",
            ),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def held_out_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of `fivebyfive.commands.options.hold_out`."""
    for option in HELD_OUT_OPTIONS:
        command = option(command)
    return command


@main.command()
@training_options(TrainConfig)
@click.option(
    "--shape", default="20-50-500-10", show_default=True,
    help="Widths: conv1-conv2-fc1-...-classes or, without convolutions, 784-fc1-...-classes.",
)  # fmt: skip
@held_out_options
@click.option(
    "--warp",
    type=float,
    default=1.0,
    show_default=True,
    metavar="STRENGTH",
    help="Of rotation, scale, shift, shear and bending; 0 is none.",
)
@click.option(
    "--ink", type=float, default=0.0, show_default=True, metavar="STRENGTH",
    help="Of changes of strokes and ink: thinner, thicker, blurred, faint, uneven; 1 for digits of other hands.",
)  # fmt: skip
@click.option(
    "--flags", type=float, default=0.0, show_default=True, metavar="SHARE",
    help="Of the ones that begin with a flag, as printed ones do; 0 to 1.",
)  # fmt: skip
@click.option(
    "--network", metavar="NAME|FILE.json",
    help="Instead: lenet-5, lenet-5-cifar, caffe, d2l, d2l-tanh, lenet-300-100, lenet-1, keras-simple, separable, "
    "separable-hidden, fire, fire-hidden, shuffle, shuffle-hidden, shift, shift-hidden, or a description of layers.",
)  # fmt: skip
def train(
    shape: str, network: str | None, out: Path, force: bool, epochs: int, seed: int, data: str, threads: int | None,
    warp: float, ink: float, flags: float, hold_out: str | None, writers: str | None, fold: int, as_json: bool,
) -> None:  # fmt: skip
    """Train a LeNet and write it as an integer checkpoint.

    Takes some minutes on two cores; interrupted, the same command goes on. Errors are those of held-out images;
    evaluate counts them on the test set. Needs PyTorch: pip install 'fivebyfive[train]'.
    """
    from fivebyfive.model.data.datasets import load_dataset
    from fivebyfive.model.shape import LeNetShape
    from fivebyfive.model.training.networks import find_network
    from fivebyfive.model.training.train import train as run
    from fivebyfive.support.optional import require_torch

    require_torch()
    with user_values():
        wanted = find_network(network) if network else LeNetShape.parse(shape)
        held_out = chosen_hold_out(hold_out, writers, fold) or usual_hold_out(data)
        config = TrainConfig(
            shape=wanted, epochs=epochs, seed=seed, threads=threads, warp=warp, ink=ink, flags=flags, hold_out=held_out
        )
    states = trained_into(out, force, [data, *filter(None, (network, writers))])
    with Stage("reading the data") as stage:
        result = run(config, load_dataset(data, "train", stage), None, stage, states)
    deliver(result, data, out, force, as_json, states)


@main.command()
@click.argument("model", metavar="MODEL", type=FILE)
@training_options(QuantizeConfig)
@reading_options
@click.option("--warp", type=float, default=1.0, show_default=True, help="Strength of augmentation; 0 is none.")
@click.option(
    "--calibration",
    type=click.Choice(CALIBRATIONS),
    default="max",
    show_default=True,
    help="Each layer's range: its largest value, or by divergence, beyond which values wrap until training moves them.",
)
@click.option("--calibrate-only", is_flag=True, help="No training: scales and rounding alone.")
@click.option("--images", metavar="X", help="With it: without labels, a .npy file or a folder of pictures.")
def quantize(
    model: Path, out: Path, force: bool, epochs: int, seed: int, data: str, threads: int | None,
    reading: "ReadingOptions", warp: float, calibration: str, calibrate_only: bool, images: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make an integer checkpoint of your own float network.

    MODEL is an .onnx, .keras, .h5 or .pt2 file, a checkpoint of TensorFlow (model.ckpt), or a state_dict under any
    other suffix; inspect shows what it is read as. Layers are rescaled, then fine-tuned with the hardware's rounding.
    Needs PyTorch: pip install 'fivebyfive[train]'. Nothing in the file is ever run.
    """
    from fivebyfive.model.training.quantize import calibrate
    from fivebyfive.model.training.quantize import quantize as run
    from fivebyfive.support.optional import require_torch

    require_torch()
    if images is not None and not calibrate_only:
        raise UserError(
            "--images have no labels to train with; give --calibrate-only, too, or a labelled set with --data"
        )
    with user_values():
        config = QuantizeConfig(
            0 if calibrate_only else epochs,
            seed,
            reading.mean,
            reading.std,
            threads,
            warp=warp,
            calibration=calibration,
        )
    states = trained_into(out, force, [model, images or data])
    with Stage("reading the data") as stage:
        if images is not None:
            result = calibrate(model, config, images, stage, states, reading)
        else:
            result = run(model, config, *training_sets(data, stage), stage, states, reading)
    deliver(result, data, out, force, as_json, states)


def trained_into(out: Path, force: bool, inputs: list[Path | str]) -> "States":
    """Where a training keeps how far it is. Raises UserError where its results could not be written."""
    from fivebyfive.model.training.resume import States, state_folder

    if out.suffix == REPORT:
        raise UserError(f"{out} is what the report is called; name the checkpoint otherwise, such as {out.stem}.npz")
    check_file(out, inputs)
    check_beside([out.with_suffix(REPORT)], force, inputs)
    return States(state_folder(out), say)


def training_sets(data: str, stage: Stage) -> "tuple[Dataset, Dataset]":
    """The training and the test set of that name."""
    from fivebyfive.model.data.datasets import load_dataset

    return load_dataset(data, "train", stage), load_dataset(data, "test", stage, say)


def deliver(result: "Result", data: str, out: Path, force: bool, as_json: bool, states: "States") -> None:
    """Write what train or quantize made, and tell of it; there is nothing to go on from any more."""
    from fivebyfive.model.checkpoint import save_checkpoint
    from fivebyfive.output.report import show_training
    from fivebyfive.support.sidecars import write_sidecar

    save_checkpoint(out, result.checkpoint)
    report = result.report | {"out": str(out)}
    write_sidecar(out.with_suffix(REPORT), json.dumps(report, indent=2).encode() + b"\n", force)
    states.forget()
    if as_json:
        click.echo(json.dumps(report))
    else:
        show_training(report, data)


@main.command()
@click.argument("model", metavar="MODEL", type=FILE)
@click.option("--data", metavar="SET", help="To count errors on; shipped test images by default, none for no images.")
@click.option("--check", type=FILE, metavar="SCORES.npy", help="Compare with what your framework gives for --images.")
@click.option(
    "--images", type=FILE, metavar="X.npy", help="(N,C,H,W) or (N,H,W,C): floats as the network takes them, or uint8."
)
@click.option("--picture", type=OUT_FILE, metavar="F.svg", help="Draw the network, layer by layer; .svg or .png.")
@click.option(
    "--plot",
    type=OUT_FILE,
    metavar="F.svg",
    help="Draw how large each layer's weights and values are, with the range of Q2.6; .svg or .png.",
)
@reading_options
@json_option
def inspect(
    model: Path, data: str | None, check: Path | None, images: Path | None, picture: Path | None, plot: Path | None,
    reading: "ReadingOptions", as_json: bool,
) -> None:  # fmt: skip
    """Show what a network in a file is read as, layer by layer.

    MODEL is an .onnx, .keras, .h5 or .pt2 file, or a checkpoint of TensorFlow (model.ckpt) or a state_dict under any
    other name, whose reading is found by trying all that fit its tensors on labelled images. Its float errors, its
    numbers against the range of Q2.6, and the cycles, multipliers and area of its machine, too.
    Nothing in the file is executed. Needs pip install 'fivebyfive[onnx]', for Keras 'fivebyfive[keras]', for
    those without a graph 'fivebyfive[train]'. Exits with 1 where the scores of --check differ, with 2 where several
    readings are as good.
    """
    from fivebyfive.commands.inspect import InspectRequest, run_inspect

    request = InspectRequest(model, data, reading, check, images, picture, plot)
    click.get_current_context().exit(run_inspect(request, as_json))


@main.command()
@click.argument("checkpoints", metavar="[F.npz...]", type=FILE, nargs=-1)
@data_option
@json_option
def evaluate(checkpoints: tuple[Path, ...], data: str, as_json: bool) -> None:
    """Count errors and wraps of the golden model on all test images.

    Of several checkpoints, and on the several sets of --data other-hands (MNIST's, and digits that people write
    otherwise), a table with 95 % intervals; checkpoints behind the first are compared with it on the same images.
    """
    from fivebyfive.commands.evaluate import run_evaluate

    run_evaluate(checkpoints or (SHIPPED,), data, as_json)


@main.command()
@checkpoint_argument
@click.option(
    "--out", type=OUT_FOLDER, metavar="FOLDER", help="To make or replace; build/lenet or build/vivado by default."
)
@force_option
@click.option(
    "--target",
    type=click.Choice(["verilog", "vivado"]),
    default="verilog",
    show_default=True,
    help="vivado: a core with AXI, packaged for Vivado, with scripts.",
)
@click.option("--part", metavar="NAME", help="Of the scripts of --target vivado; xc7z020clg400-1 by default.")
@click.option(
    "--stream-bits", type=click.Choice(["8", "16", "32"]),
    help="Width of the AXI stream of pixels: 32 by default, and 8 for each of --pixels where these are 2 or 4.",
)  # fmt: skip
@then_options
@size_options
@json_option
def generate(
    checkpoint: Path, out: Path | None, force: bool, target: str, part: str | None, stream_bits: str | None,
    then: Then | None, size: Size, as_json: bool,
) -> None:  # fmt: skip
    """Write Verilog, the contents of its memories and a manifest into a folder."""
    from fivebyfive.output.report import show_generated

    if then:
        from fivebyfive.cascade import generate_both

        if target != "verilog" or part or stream_bits:
            raise UserError("two networks are plain Verilog; leave --target, --part and --stream-bits out")
        return generate_both(checkpoint, then, out or BUILD / "cascade", force, size, as_json)
    if target == "vivado":
        return generate_vivado(checkpoint, out or BUILD / "vivado", force, part, stream_bits, as_json, size)
    if part or stream_bits:
        raise UserError("--part and --stream-bits are of --target vivado")
    out = out or BUILD / "lenet"
    accelerator = make_accelerator(checkpoint, size)
    check_folder(out, force)
    with Stage("generating Verilog"):
        manifest = accelerator.generated.manifest
    paths = accelerator.write_verilog(out, force)
    if as_json:
        click.echo(json.dumps({"out": str(out), "files": [path.name for path in paths], "manifest": manifest}))
    else:
        show_generated(checkpoint, out, paths, manifest)


def generate_vivado(
    checkpoint: Path, out: Path, force: bool, part: str | None, stream_bits: str | None, as_json: bool, size: Size
) -> None:
    """The folder for Vivado."""
    from fivebyfive.hw.axi.vivado import PART, check_part, package
    from fivebyfive.output.report import show_package

    part = part or PART
    check_part(part)
    accelerator = make_accelerator(checkpoint, size)
    check_folder(out, force)
    with Stage("generating Verilog"), user_values():
        network = accelerator.network
        made = package(network.checkpoint, accelerator.config, network.name, part, int(stream_bits or 0) // 8 or None)
    paths = made.write(out, force)
    if as_json:
        files = [path.relative_to(out).as_posix() for path in paths]
        click.echo(json.dumps({"out": str(out), "files": files, "manifest": made.manifest}))
    else:
        show_package(out, paths, made.manifest)


def make_accelerator(checkpoint: Path, size: Size) -> "Accelerator":
    from fivebyfive.api import load

    network = load(checkpoint)
    return network.accelerator(size.config(network.checkpoint))


@main.command()
@checkpoint_argument
@click.option(
    "--images", metavar="N|FILE.npy|PICTURE|FOLDER|-",
    help="The first N MNIST test images (10 by default, 1 with --waves or --show), a picture of a digit (PNG, JPEG, "
    "GIF, WebP, ..., any size), - for one on standard input, a folder of them, or a .npy file of uint8 (N,28,28), or "
    "(N,channels,rows,columns) of the network.",
)  # fmt: skip
@click.option("--simulator", default="verilator", show_default=True, metavar="NAME", help="verilator or icarus.")
@click.option("--verilog", type=FILE, metavar="DIR", help="Simulate this folder, as generate left it or edited since.")
@click.option("--out", type=OUT_FILE, metavar="LOGITS.npy", help="Write the RTL's logits, int8 (N,classes).")
@click.option("--waves", is_flag=True, help="Leave a waveform and a save file for GTKWave in build/waves.")
@click.option("--folder", type=OUT_FOLDER, metavar="DIR", help="Keep the run's files here, waveform and log included.")
@force_option
@click.option("--pause", type=float, default=0.0, help="Probability of a pause of source and receiver in each cycle.")
@click.option("--seed", type=int, help="Of the pauses; a new one by default, which is reported.")
@click.option("--logits-only", is_flag=True, help="Leave the layers before the last one out: much faster.")
@click.option(
    "--netlist", metavar="FAMILY", help="Synthesize for ecp5 or xc7 first, and simulate the cells; takes minutes."
)
@report_option
@click.option(
    "--show", is_flag=True, help="Draw input, feature maps and logits in the terminal, of 1 image by default."
)
@click.option("--coverage", is_flag=True, help="Tell which part of the Verilog ran and toggled; verilator only.")
@then_options
@size_options
@json_option
def simulate(
    checkpoint: Path, images: str | None, simulator: str, verilog: Path | None, out: Path | None, waves: bool,
    folder: Path | None, force: bool, pause: float, seed: int | None, logits_only: bool, netlist: str | None,
    show: bool, report: Path | None, coverage: bool, then: Then | None, size: Size, as_json: bool,
) -> None:  # fmt: skip
    """Run images through the RTL and compare every value of every layer with the golden model.

    Ends at the first difference, with exit code 1, and says where it is.
    """
    from fivebyfive.commands.simulate import Request, simulate_request

    request = Request(
        checkpoint=checkpoint, images=images, simulator=simulator, verilog=verilog, out=out, waves=waves, folder=folder,
        pause=pause, seed=seed, logits_only=logits_only, size=size, netlist=netlist, coverage=coverage, force=force,
        show=show, report=report,
    )  # fmt: skip
    if then:
        from fivebyfive.cascade import simulate_both

        if request != Request(checkpoint=checkpoint, images=images, simulator=simulator, size=size):
            raise UserError("with --then go --images, --simulator, --margin and the sizes; leave the other options out")
        click.get_current_context().exit(simulate_both(checkpoint, then, images, simulator, size, as_json))
    click.get_current_context().exit(simulate_request(request, as_json))


workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Processes at once; as many as there are cores by default."
)
scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Work on this Dask cluster, such as tcp://10.0.0.1:8786."
)


@main.command()
@checkpoint_argument
@click.option(
    "--part", "parts", multiple=True, default=["lfe5u-85f"], show_default=True, metavar="NAME",
    help="Again for several; an unknown name lists all.",
)  # fmt: skip
@size_options
@click.option("--seeds", type=click.IntRange(1, 99), default=1, show_default=True, help="Of place and route.")
@click.option("--estimate", is_flag=True, help="From the models alone, at once; no frequency, no files.")
@workers_option
@report_option
@click.option("--out", type=OUT_FOLDER, default=BUILD / "measure", show_default=True, help="Folder for the results.")
@force_option
@json_option
def measure(
    checkpoint: Path, parts: tuple[str, ...], size: Size, seeds: int, estimate: bool, workers: int | None, out: Path,
    report: Path | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Synthesize, place and route: area, frequency and images a second on a part.

    Yosys for every part; nextpnr for ECP5 parts (pip install 'fivebyfive[fpga]'). Results are kept: a second call
    answers at once.
    """
    from fivebyfive.model.checkpoint import load_checkpoint
    from fivebyfive.model.estimates.parts import find_part

    from .commands import measure

    chosen = [find_part(name) for name in dict.fromkeys(parts)]
    network = load_checkpoint(checkpoint)
    machines = [(size.config(network, part.family), part) for part in chosen]
    check_report(report, [checkpoint])
    if estimate:
        measure.run_estimate(network, machines, as_json, report)
    else:
        measure.run_measure(network, machines, seeds, out, force, workers, as_json, report)


@main.command()
@checkpoint_argument
@click.option("--part", required=True, metavar="NAME", help="An unknown name lists all.")
@click.option("--top", type=click.IntRange(1), default=8, show_default=True, help="Machines to synthesize.")
@click.option(
    "--goal",
    type=click.Choice(["front", "fps"]),
    default="front",
    show_default=True,
    help="Machines all along the front, or its fastest; these may take 2 or 4 pixels at once.",
)
@click.option(
    "--seeds", type=click.IntRange(0, 99), default=1, show_default=True, help="Of place and route; 0 for area only."
)
@click.option("--estimate", is_flag=True, help="From the models alone, at once.")
@scheduler_option
@workers_option
@report_option
@click.option("--out", type=OUT_FOLDER, default=BUILD / "explore", show_default=True, help="Folder for the results.")
@force_option
@json_option
def explore(
    checkpoint: Path, part: str, top: int, goal: str, seeds: int, estimate: bool, scheduler: str | None,
    workers: int | None, out: Path, report: Path | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Find the machines worth building on a part: the front of throughput against area.

    The models look at all sizes, the tools at the most promising. What was finished is kept when it is
    interrupted, and the same command goes on from there.
    """
    from fivebyfive.model.checkpoint import load_checkpoint
    from fivebyfive.model.estimates.parts import find_part

    from .commands import measure

    request = measure.ExploreRequest(
        part=find_part(part), checkpoint=load_checkpoint(checkpoint), top=top, seeds=seeds, scheduler=scheduler,
        workers=workers, out=out, force=force, estimated=estimate, source=checkpoint, report=report, goal=goal,
    )  # fmt: skip
    measure.run_explore(request, as_json)


@main.command()
@click.argument("checkpoints", metavar="F.npz...", type=FILE, nargs=-1, required=True)
@data_option
@size_options
@click.option(
    "--rtl-images", type=click.IntRange(0, 10_000), default=2, show_default=True, metavar="N",
    help="To simulate on each machine; 0 for none: cycles are then those of the model.",
)  # fmt: skip
@click.option("--synthesis/--no-synthesis", default=True, show_default=True, help="By Yosys, for the 7 series.")
@click.option("--clock", type=float, default=100.0, show_default=True, metavar="MHZ", help="Of images a second.")
@scheduler_option
@workers_option
@report_option
@click.option("--out", type=OUT_FOLDER, default=BUILD / "compare", show_default=True, help="Folder for the results.")
@force_option
@json_option
def compare(
    checkpoints: tuple[Path, ...], data: str, size: Size, rtl_images: int, synthesis: bool, clock: float,
    scheduler: str | None, workers: int | None, out: Path, report: Path | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Set checkpoints side by side: errors, bytes, and what the machines made for them cost.

    A table and a picture with the front of errors against bytes and against cycles. What was finished is kept when it
    is interrupted, and the same command goes on from there. Needs pip install 'fivebyfive[compress,plot]'.
    """
    from fivebyfive.commands.compare import CompareRequest, run_compare

    request = CompareRequest(
        checkpoints=checkpoints, size=size, data=data, rtl_images=rtl_images, synthesis=synthesis, clock_mhz=clock,
        scheduler=scheduler, workers=workers, out=out, force=force, report=report,
    )  # fmt: skip
    run_compare(request, as_json)


@main.command()
@checkpoint_argument
@click.option(
    "--board",
    required=True,
    metavar="NAME",
    help="ulx3s-12f, -25f, -45f or -85f, icepi-zero, icesugar-pro, orangecrab-25f or -85f, colorlight-i5 or -i9, "
    "tang-nano-20k, arty-a7-100.",
)
@click.option(
    "--clock",
    type=float,
    show_default="50, or the oscillator's",
    metavar="MHZ",
    help="From the part's PLL.",
)
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", help="Of place and route; several are tried in turn by default."
)
@click.option("--out", type=OUT_FOLDER, help="Folder to make or replace; build/NAME by default.")
@force_option
@size_options
@json_option
def build(
    checkpoint: Path,
    board: str,
    clock: float | None,
    seed: int | None,
    out: Path | None,
    force: bool,
    size: Size,
    as_json: bool,
) -> None:
    """Put a network on a board: a bitstream with a serial line, for ECP5 boards.

    Needs pip install 'fivebyfive[fpga]' and nothing else. Refuses where the clock is not met. For boards of other
    parts it writes what Vivado makes a bitstream from.
    """
    from fivebyfive.commands.build import BuildRequest, run_build
    from fivebyfive.hw.serial.boards import find_board
    from fivebyfive.model.checkpoint import load_checkpoint
    from fivebyfive.model.estimates.parts import find_part

    network, on = load_checkpoint(checkpoint), find_board(board)
    clock = on.clock_hz / 1e6 if clock is None else clock
    config = replace(size, clock_mhz=clock).config(network, find_part(on.part).family)
    request = BuildRequest(
        checkpoint=network, source=checkpoint.name, board=board, config=config, clock_mhz=clock, seed=seed,
        out=out or BUILD / on.name, force=force,
    )  # fmt: skip
    run_build(request, as_json)


@main.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--port", required=True, metavar="PORT", help="Of the board, such as /dev/ttyUSB0; sim for a simulated board."
)
@click.option(
    "--checkpoint", type=FILE, default=SHIPPED, metavar="F.npz",
    help="The network of the simulated board, and of --compare; the one that ships by default.",
)  # fmt: skip
@click.option("--compare", is_flag=True, help="Compare the board's logits with the golden model's.")
@click.option(
    "--corrupt", type=float, default=0.0, metavar="P",
    help="Change each byte on the simulated line with this probability, to see what becomes of it.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of --corrupt.")
@json_option
def classify(
    images: tuple[str, ...], port: str, checkpoint: Path, compare: bool, corrupt: float, seed: int, as_json: bool
) -> None:
    """Ask a board what digits are in pictures.

    IMAGE is a picture (PNG, JPEG, GIF, WebP, ..., any size), - for one on standard input, a folder of them, a .npy
    file of uint8 (N,28,28) or (N,channels,rows,columns), or a number: the first N MNIST test images. Lost or damaged
    bytes are resent; a picture without an answer is reported, with exit code 1.
    """
    from fivebyfive.commands.classify import ClassifyRequest, run_classify

    request = ClassifyRequest(images, port, checkpoint, compare=compare, corrupt=corrupt, seed=seed)
    click.get_current_context().exit(run_classify(request, as_json))


seeds_option = click.option(
    "--seeds", type=click.IntRange(1, 99), metavar="N",
    help="Of N seeds, from the given one on, side by side: each in a file of its own, and the median.",
)  # fmt: skip


class Methods(Suggesting):
    """The methods of compress, made when they are asked for: each is a command with options of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from fivebyfive.model.compress.methods import METHODS

        return list(METHODS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from fivebyfive.commands.compress import method_command
        from fivebyfive.model.compress.methods import METHODS

        return method_command(name, METHODS[name], compress_options()) if name in METHODS else None


def compress_options() -> list[click.Parameter]:
    """What every method takes, beside its own options."""

    @click.command()
    @checkpoint_argument
    @click.option("--out", type=OUT_FILE, default=BUILD / "small.npz", show_default=True, help=OUT_HELP)
    @force_option
    @data_option
    @held_out_options
    @click.option("--seed", type=int, default=1, show_default=True, help="Of all that is random.")
    @click.option(
        "--threads", type=int, default=1, show_default=True, help="Of PyTorch; another number gives another network."
    )
    @seeds_option
    @scheduler_option
    @workers_option
    @report_option
    @json_option
    def taken() -> None: ...

    return taken.params


@main.group(cls=Methods, invoke_without_command=True, subcommand_metavar="[METHOD [F.npz] ...]")
@click.option("--plan", type=FILE, metavar="FILE.toml", help="Methods one after the other, instead of a METHOD.")
@click.option("--out", type=OUT_FILE, default=BUILD / "small.npz", show_default=True, help="Of --plan. " + OUT_HELP)
@force_option
@seeds_option
@scheduler_option
@workers_option
@report_option
@json_option
@click.pass_context
def compress(
    ctx: click.Context, plan: Path | None, out: Path, force: bool, seeds: int | None, scheduler: str | None,
    workers: int | None, report: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a checkpoint smaller: fewer weights, fewer values, fewer channels, trained with the hardware's rounding.

    Each METHOD has options of its own: fivebyfive compress METHOD --help. 5,000 images held out of the training set
    choose what is kept; without --hold-out the same as for the checkpoint, as the report beside it says. evaluate
    counts errors on the test set. Interrupted work goes on when the same command is given again. Needs pip install
    'fivebyfive[train,compress]'.
    """
    if ctx.invoked_subcommand:
        if plan:
            raise UserError("--plan comes without a METHOD; write the method into the plan")
        if seeds or scheduler or workers or force or report:
            raise UserError("--seeds, --scheduler, --workers, --report and --force come after the METHOD")
        return
    if not plan:
        raise UserError("name a METHOD or a --plan; fivebyfive compress --help lists the methods")
    from fivebyfive.commands.compress import Seeds, run_compress
    from fivebyfive.model.compress.plan import read_plan

    run_compress(read_plan(plan), out, as_json, Seeds(seeds, scheduler, workers), force, plan, report)


@main.command()
@checkpoint_argument
@click.option("--out", type=OUT_FILE, default=BUILD / "lenet.bin", show_default=True, help="The packed file.")
@json_option
def pack(checkpoint: Path, out: Path, as_json: bool) -> None:
    """Store a checkpoint in as few bytes as it needs; unpack gives exactly the same arrays.

    The fewer weights are not zero, and the fewer values they have, the smaller: see compress. Needs pip install
    'fivebyfive[compress]'.
    """
    from fivebyfive.commands.pack import run_pack

    run_pack(checkpoint, out, as_json)


@main.command()
@click.argument("packed", metavar="G.bin", type=FILE)
@click.option("--out", type=OUT_FILE, default=BUILD / "lenet.npz", show_default=True, help="The integer checkpoint.")
@json_option
def unpack(packed: Path, out: Path, as_json: bool) -> None:
    """Make a checkpoint again of what pack wrote."""
    from fivebyfive.commands.pack import run_unpack

    run_unpack(packed, out, as_json)


@main.group(cls=Suggesting)
def draw() -> None:
    """Draw a picture, SVG or PNG: the block diagram of an accelerator, or a piece of a waveform.

    Needs pip install 'fivebyfive[plot]'.
    """


@draw.command("diagram")
@checkpoint_argument
@click.option(
    "--out", type=OUT_FILE, default=BUILD / "diagram.svg", show_default=True, help="The picture, .svg or .png."
)
@size_options
@json_option
def draw_diagram(checkpoint: Path, out: Path, size: Size, as_json: bool) -> None:
    """Draw what the accelerator for a network is made of, with words, bytes, multipliers and cycles."""
    from fivebyfive.commands.draw import run_diagram

    run_diagram(checkpoint, out, size, as_json)


@draw.command("waves")
@click.argument("waves", metavar="[WAVES]", type=FILE, default=BUILD / "waves")
@click.option("--out", type=OUT_FILE, default=BUILD / "waves.svg", show_default=True, help="The picture, .svg or .png.")
@click.option(
    "--signal", "signals", multiple=True, metavar="NAME",
    help="Again for several: conv.controller.state, i__payload[7:0], fc.controller.address:dec (or :hex, :signed, "
    ":bin). Those that waves.gtkw opens by default.",
)  # fmt: skip
@click.option("--from", "first", type=click.IntRange(0), metavar="CYCLE", help="The first cycle to draw.")
@click.option(
    "--when", metavar="NAME", help="Begin shortly before this signal is not 0 (after --from); i__valid by default."
)
@click.option("--cycles", type=click.IntRange(1, 200), default=24, show_default=True, help="How many to draw.")
@click.option("--clock", default="clk", show_default=True, metavar="NAME", help="Whose rising edges are counted.")
@json_option
def draw_waves(
    waves: Path, out: Path, signals: tuple[str, ...], first: int | None, when: str | None, cycles: int, clock: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Draw what signals do in some clock cycles of a waveform.

    WAVES is a VCD or FST file, or the folder in which simulate --waves left one; build/waves by default. Cycles have
    the numbers that simulate reports. What is drawn in a cycle is what flip-flops take at its end.
    """
    from fivebyfive.commands.draw import WavesRequest, run_waves

    run_waves(WavesRequest(waves, out, signals, clock, first, when, cycles), as_json)


@main.command()
@click.option(
    "--out", type=OUT_FOLDER, default=BUILD, show_default=True, help="Folder for the Verilog and the picture."
)
@force_option
@click.option("--images", type=click.IntRange(1, 200), default=10, show_default=True, help="Digits to simulate.")
@json_option
def demo(out: Path, force: bool, images: int, as_json: bool) -> None:
    """Generate the shipped LeNet, simulate real digits on it, and draw what it computed."""
    from fivebyfive.commands.demo import run_demo

    click.get_current_context().exit(run_demo(out, images, as_json, force))


@main.command()
@checkpoint_argument
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="A free one by default.")
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
@size_options
def studio(checkpoint: Path, port: int, browser: bool, size: Size) -> None:
    """Open a page on this machine: draw a digit, watch the hardware read it.

    Pictures never leave this machine. Needs pip install 'fivebyfive[studio]'.
    """
    from fivebyfive.commands.studio import StudioRequest, run_studio

    run_studio(StudioRequest(checkpoint, size, port, browser))
