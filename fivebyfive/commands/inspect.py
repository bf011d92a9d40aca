"""inspect: what a file's network is, layer by layer, what it gets wrong in floats, how large its numbers are, and what
its machine costs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import click
import numpy as np

from fivebyfive.model.data.datasets import OTHER_SET, Dataset, fit_images, joined, load_dataset
from fivebyfive.model.estimates.area import MODELLED
from fivebyfive.model.estimates.measurement import estimate
from fivebyfive.model.estimates.parts import BOARD_PARTS, PARTS
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.network import Network
from fivebyfive.model.readers.blas_threads import one_blas_thread
from fivebyfive.model.readers.float_errors import Scaling, count_errors, find_scaling, float_scores
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.formats import float_network, has_graph, read_steps
from fivebyfive.model.readers.quantized import Inexact, is_quantized, take_over
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.readers.state_dict.preparation import Preparation
from fivebyfive.model.readers.state_dict.reading import Ambiguous, Reading, find_reading
from fivebyfive.model.readers.steps import Steps
from fivebyfive.model.readers.value_ranges import LayerRange, Magnitudes, value_ranges
from fivebyfive.output.block_diagram import stored_bytes
from fivebyfive.output.drawing import check_picture
from fivebyfive.output.inspection.layers import parameters
from fivebyfive.output.inspection.network_picture import draw_network
from fivebyfive.output.inspection.range_plot import draw_ranges
from fivebyfive.output.inspection.tables import show
from fivebyfive.output.paths import check_file
from fivebyfive.output.terminal import Stage, say
from fivebyfive.support.destinations import file_place
from fivebyfive.support.errors import DIFFERS, UserError
from fivebyfive.support.inputs import open_limited
from fivebyfive.support.npy import read_npy

__all__ = ["InspectRequest", "Inspection", "run_inspect"]

SHIPPED_IMAGES = 1000  # of the shipped test set, where no data set is named
MEASURED_IMAGES = 200  # whose values are measured
AREA = ("lut", "lutram", "ff", "dsp", "bram")
MAX_NPY = 1 << 30  # bytes
NO_DATA = "none"  # in place of a data set
CLOSE = 1e-4  # of the largest score, or of 1


@dataclass(frozen=True)
class InspectRequest:
    """``data``: a data set to count errors on, or `NO_DATA`; by default the first shipped test images, if they fit.
    ``check`` and ``images``: the owner's scores of the owner's images, .npy files. ``reading``: what is known of the
    network. ``picture`` and ``plot``: files to draw the network and the ranges of its numbers into."""

    model: Path
    data: str | None = None
    reading: ReadingOptions = ReadingOptions()  # noqa: RUF009 (frozen)
    check: Path | None = None
    images: Path | None = None
    picture: Path | None = None
    plot: Path | None = None

    def check_outputs(self) -> None:
        """Raise UserError where a picture cannot be drawn or written."""
        inputs = [self.model, self.data, self.check, self.images]
        for option, path, other in (("--picture", self.picture, None), ("--plot", self.plot, self.picture)):
            if path is not None:
                check_picture(path)
                check_file(path, inputs, option)
                if other is not None and file_place(path) == file_place(other):
                    raise UserError(f"--picture and --plot both name {path}; name two files")


@dataclass(frozen=True)
class Check:
    """``difference``: the largest one between the owner's scores and ours, behind what ``behind`` says."""

    images: int
    difference: float
    limit: float
    behind: str

    @property
    def equal(self) -> bool:
        return self.difference <= self.limit


@dataclass(frozen=True)
class Inspection:
    """``ranges``: of the numbers of the network that takes pixel / 128, the values of the machine's input codes."""

    network: FloatNetwork
    scaling: Scaling | None
    data: str | None
    errors: int | None
    machine: dict | None
    check: Check | None
    remarks: tuple[str, ...]
    ranges: tuple[LayerRange, ...]
    images: int = 0
    status: str = "read"

    def as_dict(self, model: Path) -> dict:
        """Plain values, for JSON."""
        network = (self.scaling or Scaling()).for_codes(self.network)
        layers = [
            {
                "name": place.layer.name,
                "outputs": list(place.outputs),
                "parameters": parameters(place),
                "macs": place.macs,
                "range": {"weights": multiple(found.weights), "values": multiple(found.values)},
            }
            for place, found in zip(network.network, self.ranges, strict=True)
        ]
        return {
            "status": self.status,
            "model": model.name,
            "network": network.described(),
            "layers": layers,
            "input": {"mean": self.scaling.mean, "std": self.scaling.std} if self.scaling else None,
            "data": self.data,
            "images": self.images,
            "float_errors": self.errors,
            "machine": self.machine,
            "check": vars(self.check) | {"equal": self.check.equal} if self.check else None,
            "remarks": list(self.remarks),
        }


def run_inspect(request: InspectRequest, as_json: bool) -> int:
    """Do what the request says, and report; returns the exit code."""
    if (request.check is None) != (request.images is None):
        raise UserError("--check and --images belong together: the scores of those images")
    request.check_outputs()
    with one_blas_thread():
        found = inspected(request, as_json)
    if request.picture:
        draw_network(request.picture, request.model.name, found.network)
    if request.plot:
        draw_ranges(request.plot, request.model.name, found.ranges)
    if as_json:
        click.echo(json.dumps(found.as_dict(request.model)))
    else:
        show(request, found)
    return DIFFERS if found.check and not found.check.equal else 0


def inspected(request: InspectRequest, as_json: bool) -> Inspection:
    """What a file holds, its scores compared with the owner's; with ``as_json`` also of one that is asked about."""
    if has_graph(request.model):
        found = read_graph(request)
    else:
        try:
            found = read_tensors(request)
        except Ambiguous as error:
            if as_json:
                click.echo(json.dumps(ambiguous(request, error)))
            raise
    if request.check and request.images:
        images = owner_images(request.images, found.network, found.scaling)
        found = replace(
            found, check=checked(found.network, images, owner_scores(request.check, len(images), found.network))
        )
    return found


def read_graph(request: InspectRequest) -> Inspection:
    """What a file with a graph holds."""
    request.reading.check_graph(request.model)
    steps = read_steps(request.model)
    network = float_network(request.model, steps)
    with Stage("reading the data") as stage:
        dataset = data_for(network, request.data, stage)
        scalings = request.reading.scalings
        scaling = (scalings[0] if len(scalings) == 1 else find_scaling(network, dataset)) if dataset else None
        errors = count_errors(network, dataset, scaling) if dataset and scaling else None
        pixels = prepared(Preparation(network.network.input), dataset)
        machine, said = machine_of(network)
        said += taken_over(steps, pixels, scalings)
        given = scalings[0] if len(scalings) == 1 else scaling
        ranges = ranges_of(network, given, pixels)
    images, data = (len(dataset), dataset.name) if dataset else (0, None)
    return Inspection(network, given, data, errors, machine, None, network.remarks + said, ranges, images)


def taken_over(steps: Steps, pixels: np.ndarray | None, scalings: Sequence[Scaling]) -> tuple[str, ...]:
    """Of a network that is quantized already, whether `quantize` takes it over as it is."""
    if not is_quantized(steps):
        return ()
    try:
        take_over(steps, pixels, scalings)
    except Inexact as error:
        return (f"Quantized already, but not so that quantize takes it over as it is: {error}",)
    return ("Quantized already: quantize takes it over as it is, without training",)


def read_tensors(request: InspectRequest) -> Inspection:
    """What a state_dict is read as."""
    with Stage("reading the data") as stage:
        dataset = None if request.data == NO_DATA else load_dataset(request.data or "mnist", "test", stage, say)
        if dataset and request.data:  # behind those of the test the training images, asked where they leave a doubt
            dataset = joined(dataset, load_dataset(request.data, "train", stage))
        reading = find_reading(request.model, dataset, request.reading, stage)
        return inspection_of(reading, None if reading.errors is None else dataset)


def inspection_of(reading: Reading, dataset: Dataset | None = None) -> Inspection:
    """What is shown of a reading; its values on images of ``dataset``."""
    machine, said = machine_of(reading.network)
    return Inspection(
        reading.network, reading.scaling, reading.data, reading.errors, machine, None,
        (*reading.network.remarks, str(reading), *said),
        ranges_of(reading.network, reading.scaling, prepared(reading.preparation, dataset)), reading.images,
    )  # fmt: skip


def prepared(preparation: Preparation, dataset: Dataset | None) -> np.ndarray | None:
    """The first images of a data set, as the network takes them."""
    return None if dataset is None else preparation.apply(dataset.images[:MEASURED_IMAGES])


def ranges_of(network: FloatNetwork, scaling: Scaling | None, pixels: np.ndarray | None) -> tuple[LayerRange, ...]:
    """The numbers that are rescaled: those of the network of pixel / 128, the values of the machine's input codes."""
    return value_ranges((scaling or Scaling()).for_codes(network), None if pixels is None else pixels / 128)


def multiple(found: Magnitudes | None) -> float | None:
    """For JSON, which has no infinity."""
    return found.multiple if found and isfinite(found.multiple) else None


def ambiguous(request: InspectRequest, error: Ambiguous) -> dict:
    """What is known of a state_dict whose reading is not found: the best one."""
    if error.reading is None:
        nothing = {"network": None, "images": 0, "float_errors": None}
        return {"status": "ambiguous", "model": request.model.name} | nothing
    return replace(inspection_of(error.reading), status="ambiguous").as_dict(request.model)


def data_for(network: FloatNetwork, data: str | None, stage: Stage) -> Dataset | None:
    """The data set that was asked for, or the first of the shipped images where they fit the network."""
    if data == NO_DATA:
        return None
    dataset = load_dataset(data or "mnist", "test", stage, say)
    try:
        if dataset.classes > network.network.classes:
            raise UserError(
                f"{dataset.name} has {dataset.classes} classes, the network {network.network.classes}; {OTHER_SET}"
            )
        fit_images(dataset.images[:1], network.network.input)
    except UserError:
        if data:
            raise
        return None
    if data:
        return dataset
    return Dataset(dataset.name, dataset.images[:SHIPPED_IMAGES], dataset.labels[:SHIPPED_IMAGES])


def machine_of(network: FloatNetwork) -> tuple[dict | None, tuple[str, ...]]:
    """Cycles, multipliers and area of the smallest machine; what is not known of it, and why."""
    try:
        config = sized(network.network)
        cycles = plan(network.network, config)
    except ValueError as error:
        return None, (f"no machine: {error}",)
    machine = {
        "multipliers": {"conv": config.conv_multipliers, "fc": config.fc_multipliers},
        "conv_cycles": cycles.conv,
        "fc_cycles": cycles.fc,
        "latency": cycles.latency,
        "interval": cycles.interval,
        "weight_bytes": stored_bytes(network.network, config),
        "area": None,
        "boards": None,
    }
    if tables := stages(network.network).tables:
        return machine, (f"no estimate of the area: the area model does not know tables, as in {', '.join(tables)}",)
    return machine | area_of(network.network, config), ()


def area_of(network: Network, config: Config) -> dict:
    """What the area model says for each family of parts, and the parts and boards that have enough of everything."""
    firsts = {part.family: part for part in reversed(PARTS.values()) if part.family in MODELLED}
    area = {}
    for family, part in sorted(firsts.items()):
        estimated = estimate(network, config, part)
        area[family] = {name: getattr(estimated, name) for name in AREA} | {"parts": estimated.fits_in}
    held = [name for one in area.values() for name in one["parts"]]
    return {"area": area, "boards": [board for board, part in BOARD_PARTS.items() if part in held]}


# the owner's images and scores


def read_array(path: Path, what: str) -> np.ndarray:
    """The numbers of a .npy file."""
    with open_limited(path, MAX_NPY, what) as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            array = read_npy(file, size)
        except ValueError as error:
            raise UserError(f"{path} is damaged or no .npy file ({error})") from error
    if array.dtype.kind not in "iuf" or array.dtype.hasobject or not array.size:
        raise UserError(f"{path} holds {array.dtype} {array.shape}; it must hold numbers")
    return array


def owner_images(path: Path, network: FloatNetwork, scaling: Scaling | None) -> np.ndarray:
    """Images as the file's network takes them: floats as they are, uint8 as pixels."""
    array = read_array(path, "file of images")
    channels, rows, columns = network.network.input
    forms = {
        (channels, rows, columns): (0, 1, 2, 3),
        (rows, columns, channels): (0, 3, 1, 2),
    }
    if channels == 1 and array.shape[1:] == (rows, columns):
        array = array[:, np.newaxis]
    if array.shape[1:] == (channels * rows * columns,):
        array = array.reshape(-1, channels, rows, columns)
    if array.shape[1:] not in forms:
        raise UserError(
            f"{path} holds images of {array.shape[1:]}, the network takes {channels} channels of {rows}x{columns}"
        )
    images = array.transpose(forms[array.shape[1:]])
    return (scaling or Scaling()).apply(images) if array.dtype == np.uint8 else images.astype(np.float64)


def owner_scores(path: Path, images: int, network: FloatNetwork) -> np.ndarray:
    array = read_array(path, "file of scores")
    if array.size != images * network.network.classes or len(array) != images:
        raise UserError(
            f"{path} holds {array.shape}; {images} images have ({images}, {network.network.classes}) scores"
        )
    return array.reshape(images, -1).astype(np.float64)


def checked(network: FloatNetwork, images: np.ndarray, wanted: np.ndarray) -> Check:
    """Our scores against the owner's, which may be behind the Softmax that was left out."""
    scores = np.concatenate(list(float_scores(network, images)))
    logs = scores - scores.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    limit = CLOSE * max(1.0, float(np.abs(wanted).max()))
    ways = {"": scores, "Softmax": np.exp(logs), "LogSoftmax": logs}
    apart = {behind: float(np.abs(made - wanted).max()) for behind, made in ways.items()}
    behind = next((way for way, difference in apart.items() if difference <= limit), "")
    return Check(len(images), apart[behind], limit, behind)
