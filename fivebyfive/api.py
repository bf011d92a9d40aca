"""What a user imports: a network predicts by the golden model, an accelerator by simulation of its RTL."""

from functools import cached_property
from pathlib import Path

import numpy as np

from fivebyfive.hw.generate import Generated, generate
from fivebyfive.model import golden
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.config import Config
from fivebyfive.model.datasets import Dataset
from fivebyfive.model.engines import fitted
from fivebyfive.model.evaluate import Evaluation, evaluate
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.sizing import sized
from fivebyfive.sim.simulate import Simulation, simulate

__all__ = ["Accelerator", "Network", "load"]


class Network:
    """A trained, quantized LeNet. Images are uint8 (N, 28, 28) everywhere.

    ``checkpoint``: its integer arrays. ``name``: what it is called in manifests and reports.
    """

    def __init__(self, checkpoint: Checkpoint, name: str | None = None):
        self.checkpoint = checkpoint
        self.name = name

    @property
    def shape(self) -> LeNetShape:
        return self.checkpoint.shape

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits, int8 (N, classes), by the golden model."""
        return golden.predict(self.checkpoint, images)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Classes, int64 (N,), by the golden model."""
        return golden.classify(self.predict(images))

    def trace(self, images: np.ndarray) -> golden.Trace:
        """Every layer's output, by the golden model."""
        return golden.forward(self.checkpoint, images)

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Errors, confusion and wraps on a data set, by the golden model."""
        return evaluate(self.checkpoint, dataset)

    def accelerator(self, config: Config | None = None) -> "Accelerator":
        """The hardware of this network; one PE, 20 lanes and the engines that serve its weights best unless ``config``
        says otherwise."""
        return Accelerator(self, config or fitted(self.checkpoint, sized(self.shape)))


class Accelerator:
    """The generated hardware of a network."""

    def __init__(self, network: Network, config: Config | None = None):
        self.network = network
        self.config = config or sized(network.shape)

    @cached_property
    def generated(self) -> Generated:
        """Verilog and manifest; made at first use, which takes some seconds."""
        return generate(self.network.checkpoint, self.config, self.network.name)

    def write_verilog(self, folder: Path | str, force: bool = False) -> list[Path]:
        """Replace ``folder`` by one with Verilog, .mem files and manifest; the paths of the files.

        Raises UserError where a file in it would be lost that is not as this wrote it; with ``force`` edited ones are
        replaced and others stay.
        """
        return self.generated.write(Path(folder), force)

    def simulate(self, images: np.ndarray, **options) -> Simulation:
        """Run images through the RTL and compare every layer; options as `fivebyfive.sim.simulate`."""
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
