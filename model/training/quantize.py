"""Somebody's own float network becomes an integer checkpoint.

Five steps: read the network, fold the scale of the input pixels into its first layer, rescale every layer so that it
uses the range of Q2.6 without leaving it, fine-tune with the hardware's rounding in the forward pass, and round. The
report tells errors and wraps of the float network, of naive rounding, of rounding after rescaling, and of the result.
Importing this module does not import PyTorch; running `quantize` does.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fivebyfive.model.data.datasets import Dataset, fit_images, joined, load_dataset
from fivebyfive.model.data.images import load_images
from fivebyfive.model.description import read_network, written
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.readers.float_errors import USUAL_INPUTS, Scaling, count_errors
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.formats import folded, has_graph, read_steps
from fivebyfive.model.readers.quantized import Inexact, is_quantized, take_over, unquantized
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.readers.state_dict.preparation import Preparation
from fivebyfive.model.readers.state_dict.reading import find_reading
from fivebyfive.model.readers.steps import Steps
from fivebyfive.support.errors import UserError
from fivebyfive.support.optional import require_torch
from fivebyfive.support.progress import Progress, silent

from .hold_out import DRAWN
from .report import figures, finished
from .stage import QuantizeConfig
from .train import Result, counter, divide, plain

if TYPE_CHECKING:
    from .lenet import LeNet
    from .loop import TrainingImages
    from .resume import States

__all__ = ["Model", "calibrate", "quantize", "read_model"]


def quantize(
    path: Path | str,
    config: QuantizeConfig,
    training: Dataset,
    test: Dataset | None = None,
    progress: Progress = silent,
    states: "States | None" = None,
    reading: ReadingOptions = ReadingOptions(),  # noqa: B008 (frozen)
) -> Result:
    """Quantize the network in ``path``: any file that `read_model` reads. ``reading``: what is known of a state_dict,
    whose reading is found on the held-out images, and on others behind them.

    A network that is quantized already is taken over as it is where that can be (`take_over`): nothing is trained, and
    the report has ``taken_over``, but neither ``rounded`` nor ``rescaled``. Otherwise its quantizers are left out, and
    a remark says why.

    The result's report is as `train`'s, and has ``remarks`` (lines: what the reader left out or changed), ``input``
    {mean, std}, ``float`` {held_out, test} with {images, errors}, and ``rounded`` and ``rescaled`` {held_out, test}
    with {images, errors, wraps, peak}: the float network naively rounded to Q2.6, and rounded after rescaling.
    ``before`` and ``after`` are such figures before and after fine-tuning, on ``test`` or, without one, on the held-out
    images; ``errors`` in ``float`` are those of the same images. Choices are made on held-out training images; ``test``
    is only reported. ``states`` are as in `train`.

    Raises UserError for a file that holds no network, without PyTorch, where the data do not fit, or where a layer
    leaves float32.
    """
    require_torch()
    model = read_model(Path(path), lambda: joined(*reversed(DRAWN.divide(training))), config.known(reading), progress)
    training, test = model.prepared(training), test and model.prepared(test)
    if model.quantized:
        held_out = divide(model.network.network, training, test)[1]
        try:
            return taken_over(Path(path).name, model.quantized, config, held_out, test, progress)
        except Inexact as error:
            model = model.because(str(error))
    with inside_float32(path):
        return quantized(Path(path).name, model.network, model.scaling, config, training, test, progress, states)


def calibrate(
    path: Path | str,
    config: QuantizeConfig,
    images: Path | str,
    progress: Progress = silent,
    states: "States | None" = None,
    reading: ReadingOptions = ReadingOptions(),  # noqa: B008 (frozen)
) -> Result:
    """`quantize` with images that nobody labelled, such as `load_images` takes: each one's class is what the float
    network says, so errors are images that the integer network puts into another class. Meant for no epochs. The
    reading of a state_dict is found on the shipped test images. Raises UserError as `quantize` does, and where the
    scaling of the pixels is not known.
    """
    require_torch()
    shipped = partial(load_dataset, "mnist", "test", progress)
    model = read_model(Path(path), shipped, config.known(reading), progress)
    found = load_images(images, model.network.input)
    if model.quantized:
        try:
            dataset = Dataset(found.source, found.pixels, np.zeros(len(found), np.uint8))
            return taken_over(Path(path).name, model.quantized, config, dataset, None, progress, labelled=False)
        except Inexact as error:
            model = model.because(str(error))
    network, scaling = model.network, config.scaling or model.scaling
    if scaling is None:
        raise UserError(f"{path}: without labels no scaling of its pixels can be tried; give --mean and --std")
    with inside_float32(path):
        labels = classes_of(scaling.for_codes(network), found.pixels)
        dataset = Dataset(found.source, found.pixels, labels)
        return quantized(Path(path).name, network, scaling, config, dataset, None, progress, states)


@contextmanager
def inside_float32(path: Path | str) -> Iterator[None]:
    """A layer that leaves float32 is the file's fault."""
    try:
        yield
    except FloatingPointError as error:
        hint = "its weights are too large, or --mean and --std are not what it saw"
        raise UserError(f"{path}: {error}; {hint}") from error


@dataclass(frozen=True)
class Model:
    """``network``: what a file holds. ``scaling``: of its pixels, if that is known. ``preparation``: how its images
    come from others, where that was found. ``quantized``: what the file computes, where that is rounded; ``network`` is
    not."""

    network: FloatNetwork
    scaling: Scaling | None = None
    preparation: Preparation | None = None
    quantized: Steps | None = None

    def because(self, why: str) -> "Model":
        """The same with a remark why it is not taken over as it is."""
        remark = f"Not taken over as it is quantized: {why}; so it is quantized anew"
        return replace(self, network=replace(self.network, remarks=(*self.network.remarks, remark)))

    def prepared(self, dataset: Dataset) -> Dataset:
        """Images as the network takes them; those that are taken as they are stay so."""
        if self.preparation is None or self.preparation.plain:
            return dataset
        return Dataset(dataset.name, self.preparation.apply(dataset.images), dataset.labels)


def read_model(
    path: Path,
    labelled: Callable[[], Dataset] | None = None,
    reading: ReadingOptions = ReadingOptions(),  # noqa: B008 (frozen)
    progress: Progress = silent,
) -> Model:
    """The network in a file: one with a graph, or tensors without, whose reading is found on what ``labelled`` gives.
    Raises UserError, one line, for any other file, for tensors that can be read in several ways, and for a network that
    no checkpoint holds."""
    if has_graph(path):
        reading.check_graph(path)
        steps = read_steps(path)
        quantized = steps if is_quantized(steps) else None
        model = Model(folded(path, unquantized(steps)), quantized=quantized)
    else:
        dataset = labelled() if labelled else None
        found = find_reading(path, dataset, reading, progress)
        remarks = [*found.network.remarks, str(found)]
        if dataset is not None and not found.preparation.plain:
            how = found.preparation.text(dataset.size[1:])
            remarks.append(f"it takes images of {how}; give the machine, evaluate and simulate images made so")
        network = replace(found.network, remarks=tuple(remarks))
        model = Model(network, found.scaling, found.preparation)
    network = replace(model.network, network=pools_first(model.network.network))
    try:
        read_network(written(network.network))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return replace(model, network=network)


def pools_first(network: Network) -> Network:
    """The same function with ReLU behind max pooling, as in the brief's form."""

    def ordered(layer: Layer) -> Layer:
        match layer.then:
            case ("relu", Pool(kind="max") as pool):
                return replace(layer, then=(pool, "relu"))
        return layer

    return replace(network, layers=tuple(map(ordered, network.layers)))


def quantized(
    source: str, network: FloatNetwork, scaling: Scaling | None, config: QuantizeConfig, training: Dataset,
    test: Dataset | None, progress: Progress, states: "States | None",
) -> Result:  # fmt: skip
    """`quantize` of the network of a file called ``source``; ``scaling``: of its pixels, if that is known. Raises
    FloatingPointError where a layer leaves float32."""
    torch = require_torch()
    from .calibration import BALANCE, calibrated
    from .lenet import from_float_network, to_checkpoint
    from .loop import TrainingImages, fit, threads
    from .resume import States
    from .state import Extras

    started = time.monotonic()
    learning, held_out = divide(network.network, training, test)
    tick = counter(progress, [config.stage.steps(len(learning))])
    states = states or States()
    states.begin((config, scaling, digest_of(network)), training)
    sets = {"held_out": held_out, "test": test}
    shown = "held_out" if test is None else "test"
    with threads(config.threads):
        generator = torch.Generator().manual_seed(config.seed)
        data = TrainingImages.of(learning), TrainingImages.of(held_out)
        scaling = config.scaling or scaling or find_scaling(network, data[1])
        net = from_float_network(scaling.for_codes(network))
        before = {"float": {name: float_figures(net, dataset) for name, dataset in sets.items()}}
        rounded = to_checkpoint(clipped(net))
        temperature = calibrated(net, data[0], 1.0, BALANCE, config.calibration)
        net.clip()
        rescaled = to_checkpoint(net)
        for name, checkpoint in (("rounded", rounded), ("rescaled", rescaled)):
            before[name] = {key: figures(checkpoint, dataset, progress) for key, dataset in sets.items()}
        epochs = fit(net, config.stage, *data, temperature, generator, tick, Extras(saved=states.next()))
    checkpoint = to_checkpoint(net)
    report: dict[str, Any] = {
        "command": "quantize",
        "seed": config.seed,
        "config": plain(config),
        "data": training.name,
    }
    report |= {"model": source, "remarks": list(network.remarks)}
    report |= {"input": {"mean": scaling.mean, "std": scaling.std}} | before
    report |= {"epochs": epochs, "resumed": states.epochs}
    report |= finished(checkpoint, held_out, test, started, progress)
    report["float"] |= {"errors": report["float"][shown]["errors"]}
    report |= {"before": report["rescaled"][shown], "after": report[shown]}
    return Result(checkpoint, report)


def taken_over(
    source: str, steps: Steps, config: QuantizeConfig, held_out: Dataset, test: Dataset | None, progress: Progress,
    labelled: bool = True,
) -> Result:  # fmt: skip
    """`quantize` of a network that is quantized already, where nothing leaves the range on ``held_out``; without labels
    the classes there are the file's. Raises `Inexact`."""
    assert steps.input
    started = time.monotonic()
    pixels = fit_images(held_out.images, steps.input)
    taken = take_over(steps, pixels, [config.scaling] if config.scaling else USUAL_INPUTS)
    checkpoint, scaling = taken.checkpoint, taken.scaling
    if not labelled:
        held_out = replace(held_out, labels=classify(predict(checkpoint, pixels)).astype(np.uint8))
    remark = "Quantized already and taken over as it is, without training"
    if not taken.rounded:
        remark += f"; scores, which it does not round, are rounded down to multiples of {taken.unit / Q2_6.one:g}"
    report: dict[str, Any] = {"command": "quantize", "seed": config.seed, "config": plain(config)}
    report |= {"model": source, "remarks": [*steps.remarks, remark], "taken_over": True}
    report |= {"input": {"mean": scaling.mean, "std": scaling.std}, "epochs": [], "resumed": 0, "data": held_out.name}
    report |= finished(checkpoint, held_out, test, started, progress)
    sets = {"held_out": held_out, "test": test}
    counted = {
        name: {
            "images": len(dataset),
            "errors": report[name]["errors"] if taken.rounded else count_errors(steps, dataset, scaling),
        }
        for name, dataset in sets.items()
        if dataset
    }
    shown = report["test"] or report["held_out"]
    report["float"] = {"test": None} | counted | {"errors": counted["test" if test else "held_out"]["errors"]}
    report |= {"before": shown, "after": shown}
    return Result(checkpoint, report)


def find_scaling(network: FloatNetwork, held_out: "TrainingImages") -> Scaling:
    """The usual scaling under which the network makes the fewest errors."""
    return min(USUAL_INPUTS, key=lambda scaling: errors_with(network, scaling, held_out))


def errors_with(network: FloatNetwork, scaling: Scaling, images: "TrainingImages") -> int:
    """Errors of the float network when its pixels are scaled so; all of them where it leaves float32."""
    from .lenet import exact_values, from_float_network
    from .loop import examine

    try:
        return examine(from_float_network(scaling.for_codes(network)), images, 1.0, False, exact_values).errors
    except FloatingPointError:
        return len(images)


def classes_of(network: FloatNetwork, pixels: np.ndarray) -> np.ndarray:
    """What a network of pixel / 128 says of images, uint8 (N,)."""
    torch = require_torch()
    from .lenet import exact_values, from_float_network
    from .loop import EXAMINE_BATCH

    net = from_float_network(network)
    with torch.no_grad():
        batches = torch.tensor(pixels).split(EXAMINE_BATCH)
        return torch.cat([net(exact_values(batch))[0].argmax(1) for batch in batches]).numpy().astype(np.uint8)


def clipped(net: "LeNet") -> "LeNet":
    """A copy within the range of Q2.6, where rounding is exact."""
    copy = deepcopy(net)
    copy.clip()
    return copy


def digest_of(network: FloatNetwork) -> str:
    """SHA-256 of all that a float network computes."""
    digest = sha256(repr((network.network, sorted(network.functions.items()), sorted(network.fills))).encode())
    for array in (*network.arrays.values(), *network.fills.values(), network.scale, network.shift):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def float_figures(net: "LeNet", dataset: Dataset | None) -> dict | None:
    """{images, errors} of the float network on a data set; None without one."""
    from .lenet import exact_values
    from .loop import TrainingImages, examine

    if dataset is None:
        return None
    seen = examine(net, TrainingImages.of(dataset), 1.0, False, exact_values)
    return {"images": seen.images, "errors": seen.errors}
