"""inspect: what a file's network is, layer by layer, what it gets wrong in floats, and what its machine costs."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from fivebyfive.model.data.datasets import Dataset, joined, load_dataset
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.network import Place, Pool, dims
from fivebyfive.model.readers.float_errors import Scaling, count_errors, find_scaling, float_scores
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.formats import has_graph, read_float_network
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.readers.state_dict.reading import Ambiguous, Reading, find_reading
from fivebyfive.output.report import console, equal_text, table
from fivebyfive.output.terminal import Stage
from fivebyfive.support.errors import DIFFERS, UserError, shown
from fivebyfive.support.inputs import open_limited
from fivebyfive.support.npy import read_npy

__all__ = ["InspectRequest", "run_inspect"]

SHIPPED_IMAGES = 1000  # of the shipped test set, where no data set is named
MAX_NPY = 1 << 30  # bytes
CLOSE = 1e-4  # of the largest score, or of 1


@dataclass(frozen=True)
class InspectRequest:
    """``data``: a data set to count errors on; without it the first shipped test images serve, if they fit. ``check``
    and ``images``: the owner's scores of the owner's images, .npy files. ``reading``: what is known of the network."""

    model: Path
    data: str | None = None
    reading: ReadingOptions = ReadingOptions()  # noqa: RUF009 (frozen)
    check: Path | None = None
    images: Path | None = None


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
    network: FloatNetwork
    scaling: Scaling | None
    data: str | None
    errors: int | None
    machine: dict | None
    check: Check | None
    remarks: tuple[str, ...]
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
            }
            for place in network.network
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
    if as_json:
        click.echo(json.dumps(found.as_dict(request.model)))
    else:
        show(request, found)
    return DIFFERS if found.check and not found.check.equal else 0


def read_graph(request: InspectRequest) -> Inspection:
    """What a file with a graph holds."""
    request.reading.check_graph(request.model)
    network = read_float_network(request.model)
    with Stage("reading the data") as stage:
        dataset = data_for(network, request.data, stage)
        scalings = request.reading.scalings
        scaling = (scalings[0] if len(scalings) == 1 else find_scaling(network, dataset)) if dataset else None
        errors = count_errors(network, dataset, scaling) if dataset and scaling else None
    machine, said = machine_of(network)
    given = scalings[0] if len(scalings) == 1 else scaling
    images = len(dataset) if dataset else 0
    data = dataset.name if dataset else None
    return Inspection(network, given, data, errors, machine, None, network.remarks + said, images)


def read_tensors(request: InspectRequest) -> Inspection:
    """What a state_dict is read as."""
    with Stage("reading the data") as stage:
        dataset = load_dataset(request.data or "mnist", "test", stage)
        if request.data:  # training images behind those of the test: they are asked where these leave a doubt
            dataset = joined(dataset, load_dataset(request.data, "train", stage))
        reading = find_reading(request.model, dataset, request.reading, stage)
    return inspection_of(reading)


def inspection_of(reading: Reading) -> Inspection:
    machine, said = machine_of(reading.network)
    return Inspection(
        reading.network, reading.scaling, reading.data, reading.errors, machine, None,
        (*reading.network.remarks, str(reading), *said), reading.images,
    )  # fmt: skip


def ambiguous(request: InspectRequest, error: Ambiguous) -> dict:
    """What is known of a state_dict whose reading is not found: the best one."""
    if error.reading is None:
        nothing = {"network": None, "images": 0, "float_errors": None}
        return {"status": "ambiguous", "model": request.model.name} | nothing
    return replace(inspection_of(error.reading), status="ambiguous").as_dict(request.model)


def data_for(network: FloatNetwork, data: str | None, stage: Stage) -> Dataset | None:
    """The data set that was asked for, or the first of the shipped images where they fit the network."""
    dataset = load_dataset(data or "mnist", "test", stage)
    size = network.network.input[1:]
    fits = dataset.classes <= network.network.classes and min(np.subtract(size, dataset.images.shape[1:])) >= 0
    if data and not fits:
        raise UserError(
            f"{dataset.name} has {dataset.classes} classes on images of {dataset.images.shape[1]}x"
            f"{dataset.images.shape[2]}, the network {network.network.classes} on {size[0]}x{size[1]}; give a set that "
            "fits with --data"
        )
    if data:
        return dataset
    return Dataset(dataset.name, dataset.images[:SHIPPED_IMAGES], dataset.labels[:SHIPPED_IMAGES]) if fits else None


def machine_of(network: FloatNetwork) -> tuple[dict | None, tuple[str, ...]]:
    """Cycles and multipliers of the smallest machine; why there is none, if so."""
    try:
        config = sized(network.network)
        cycles = plan(network.network, config)
    except ValueError as error:
        return None, (f"no machine: {error}",)
    return {
        "multipliers": {"conv": config.conv_multipliers, "fc": config.fc_multipliers},
        "conv_cycles": cycles.conv,
        "fc_cycles": cycles.fc,
        "latency": cycles.latency,
        "interval": cycles.interval,
    }, ()


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


# what a person reads


def show(request: InspectRequest, found: Inspection) -> None:
    out = console()
    network = found.network.network
    out.print(f"{shown(request.model.name)}: input {dims(network.input)}")
    rows = table("<layer", "<what it is", "gives", "<then", "parameters", "MACs")
    for place in network:
        rows.add_row(
            place.layer.name, kind_text(place), dims(place.map), then_text(place, found.network),
            f"{parameters(place):,}", f"{place.macs:,}",
        )  # fmt: skip
    rows.add_row("all", "", "", "", f"{sum(map(parameters, network)):,}", f"{sum(network.macs.values()):,}")
    out.print(rows)
    out.print()
    for remark in found.remarks:
        out.print(shown(remark))
    if found.data and found.scaling:
        how = f"(pixel / 255 - {found.scaling.mean:g}) / {found.scaling.std:g}"
        out.print(f"In floats: {found.errors} errors of {found.images:,} on {shown(found.data)}, {how}")
    else:
        out.print("In floats: no errors counted, as the shipped test images do not fit; give a set with --data")
    if found.machine:
        machine = found.machine
        products = "{conv} + {fc}".format(**machine["multipliers"])
        out.print(
            f"Its machine: {products} multipliers, {machine['interval']:,} cycles an image "
            f"(conv {machine['conv_cycles']:,}, fc {machine['fc_cycles']:,}; latency {machine['latency']:,})"
        )
    if found.check:
        behind = f" behind {found.check.behind}" if found.check.behind else ""
        out.print(
            f"Scores of {found.check.images} images{behind}:", equal_text(found.check.equal),
            f"(furthest apart {found.check.difference:.2g}, limit {found.check.limit:.2g})",
        )  # fmt: skip


def parameters(place: Place) -> int:
    """Weights and biases of a layer."""
    return int(np.prod(place.arrays[f"{place.layer.name}.weight"])) + place.layer.outputs


def kind_text(place: Place) -> str:
    layer = place.layer
    if layer.kind == "fc":
        return "fc"
    text = f"conv {layer.kernel}x{layer.kernel}"
    if any(layer.padding):
        alike = len(set(layer.padding)) == 1
        text += f", padding {layer.padding[0] if alike else ' '.join(map(str, layer.padding))}"
    text += f", stride {layer.stride}" if layer.stride > 1 else ""
    return text + (f", groups {layer.groups}" if layer.groups > 1 else "")


def then_text(place: Place, network: FloatNetwork) -> str:
    parts = []
    for step in place.layer.then:
        if isinstance(step, Pool):
            by = f" by {step.stride}" if step.stride != step.size else ""
            parts.append(f"{step.kind} {step.size}{by}")
        elif step == "table":
            parts += [function.name for function in network.functions[place.layer.name]]
        else:
            parts.append(step)
    return ", ".join(parts)
