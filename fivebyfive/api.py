"""What a user imports: a network predicts by the golden model, an accelerator by simulation of its RTL."""

from functools import cached_property
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args

import numpy as np

from fivebyfive.hw.generate import Generated, generate
from fivebyfive.model import golden
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.evaluate import Evaluation, evaluate
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.simulate import Simulation, check_run, simulate
from fivebyfive.support.errors import UserError, user_values
from fivebyfive.support.inputs import as_path

__all__ = ["Accelerator", "Network", "load"]


class Network:
    """A trained, quantized network. Images are uint8 (N, rows, columns), or (N, channels, rows, columns), of its input.

    ``checkpoint``: its integer arrays; ``checkpoint.network``: its input and layers. ``name``: what it is called in
    manifests and reports. Whatever is given to its methods that they cannot take is a UserError of one line.
    """

    def __init__(self, checkpoint: Checkpoint, name: str | None = None):
        require(checkpoint, Checkpoint, "a network is made of", "fivebyfive.load(path) reads one")
        require(name, str | None, "a network's name is", "leave it out for none")
        self.checkpoint = checkpoint
        self.name = name

    def __repr__(self) -> str:
        return f"<Network {self.checkpoint.summary}{f', {self.name}' if self.name else ''}>"

    @property
    def shape(self) -> LeNetShape:
        """The widths of a network such as 20-50-500-10. Raises UserError for one of another form."""
        return self.checkpoint.shape

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits, int8 (N, classes), by the golden model."""
        return golden.predict(self.checkpoint, self.checked(images))

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Classes, int64 (N,), by the golden model."""
        return golden.classify(self.predict(images))

    def trace(self, images: np.ndarray) -> golden.Trace:
        """Every layer's output, by the golden model."""
        return golden.forward(self.checkpoint, self.checked(images))

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Errors, confusion and wraps on a data set, by the golden model."""
        require(dataset, Dataset, "to evaluate takes", "fivebyfive.model.data.datasets.load_dataset(name) reads one")
        return evaluate(self.checkpoint, dataset)

    def checked(self, images: np.ndarray) -> np.ndarray:
        """The images, if they are some of this network. Raises UserError."""
        with user_values():
            golden.check_pixels(images, self.checkpoint.network)
        return images

    def accelerator(self, config: Config | None = None) -> "Accelerator":
        """The hardware of this network; one PE, 20 lanes and the engines that serve its weights best unless ``config``
        says otherwise."""
        return Accelerator(self, sized(self.checkpoint) if config is None else config)


class Accelerator:
    """The generated hardware of a network. Whatever is given to its methods that they cannot take is a UserError of one
    line."""

    def __init__(self, network: Network, config: Config | None = None):
        require(network, Network, "an accelerator is of", "fivebyfive.load(path) reads one")
        require(config, Config | None, "the sizes of an accelerator are", "leave it out for the best ones")
        self.network = network
        self.config = config or sized(network.checkpoint.network)
        try:
            self.config.check(network.checkpoint.network)
            pack(network.checkpoint, self.config)
        except (ValueError, IndexError) as error:  # of engines that are not those of this network
            raise UserError(f"{network.checkpoint.summary} cannot be served by that machine: {error}") from error

    def __repr__(self) -> str:
        return f"<Accelerator of {self.network!r}, {self.config.multipliers} multipliers>"

    @cached_property
    def generated(self) -> Generated:
        """Verilog and manifest; made at first use, which takes some seconds."""
        return generate(self.network.checkpoint, self.config, self.network.name)

    def write_verilog(self, folder: Path | str, force: bool = False) -> list[Path]:
        """Replace ``folder`` by one with Verilog, .mem files and manifest; the paths of the files.

        Raises UserError where a file in it would be lost that is not as this wrote it; with ``force`` edited ones are
        replaced and others stay.
        """
        return self.generated.write(as_path(folder, "folder"), force)

    def simulate(self, images: np.ndarray, **options: Any) -> Simulation:
        """Run images through the RTL and compare every layer; options as `fivebyfive.sim.simulate`."""
        with user_values():
            check_run(images, network=self.network.checkpoint.network, **options)
        if options.get("folder") is not None:
            options["folder"] = as_path(options["folder"], "folder")
        return simulate(self.network.checkpoint, self.generated, images, **options)

    def predict(self, images: np.ndarray, simulator: str = "verilator") -> np.ndarray:
        """Logits, int8 (N, classes), by simulation of the RTL.

        Raises AssertionError where the golden model differs.
        """
        result = self.simulate(images, simulator=simulator, layers=False)
        if result.difference:
            raise AssertionError(f"RTL and golden model differ: {result.difference}")
        return result.logits


def load(path: Path | str = SHIPPED) -> Network:
    """The network of an integer checkpoint, the shipped one by default. Raises UserError where it is none."""
    return Network(load_checkpoint(path), Path(path).name)


def require(value: object, kind: type | UnionType, what: str, hint: str) -> None:
    """Raise UserError unless ``value`` is of a kind."""
    if not isinstance(value, kind):
        kinds = get_args(kind) or (kind,)
        name = " or ".join(one.__name__ for one in kinds if one is not NoneType)
        raise UserError(f"{what} a {name}, not {type(value).__name__}; {hint}")
