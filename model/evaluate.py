"""Count what an integer checkpoint gets wrong, and what wraps on the way, with the golden model alone."""

from dataclasses import asdict, dataclass

import numpy as np

from fivebyfive.model.data.datasets import Dataset, fit_images
from fivebyfive.support.errors import UserError
from fivebyfive.support.progress import Progress, silent

from .checkpoint import Checkpoint
from .golden import classify, traces
from .statistics import mcnemar, wilson

__all__ = ["Evaluation", "compared", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What a checkpoint does on a data set.

    ``images`` and ``errors`` count images. ``confusion[label, class]`` counts images, int64 (C, C).
    ``wraps``: layer to how many values, before pooling, wrapped. ``peak``: layer to the furthest value from
    zero before wrapping (`fivebyfive.model.golden.Trace`), in codes: up to 127 where nothing wrapped.
    ``wrong``: which images got another class than their label, bool (N,).
    """

    images: int
    errors: int
    wraps: dict[str, int]
    confusion: np.ndarray
    peak: dict[str, int]
    wrong: np.ndarray

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share of errors, 0 to 1 (`statistics.wilson`)."""
        return wilson(self.errors, self.images)

    def as_dict(self) -> dict:
        """The same as plain Python values, for JSON, without ``wrong``; with the ``interval``."""
        values = {name: value for name, value in asdict(self).items() if name != "wrong"}
        return values | {"confusion": self.confusion.tolist(), "interval": list(self.interval)}


def compared(first: Evaluation, other: Evaluation) -> dict[str, int | float]:
    """Two networks on the same images: on how many the ``first_alone`` is wrong, on how many the ``other_alone``, and
    ``p`` of McNemar's test (`statistics.mcnemar`)."""
    alone = int((first.wrong & ~other.wrong).sum()), int((other.wrong & ~first.wrong).sum())
    return {"first_alone": alone[0], "other_alone": alone[1], "p": mcnemar(*alone)}


def evaluate(checkpoint: Checkpoint, dataset: Dataset, progress: Progress = silent) -> Evaluation:
    """Run every image through the golden model, exactly; about 4 s for 10,000 images of 20-50-500-10.

    Images smaller than the network's input are put in the middle of black ones; each of several channels gets the same.
    Raises UserError where the data set is empty, or its images or labels do not fit the checkpoint.
    """
    network = checkpoint.network
    classes, images = network.classes, len(dataset)
    if not images or dataset.classes > classes:
        raise UserError(
            f"{dataset.name} has {images} images of {dataset.classes} classes, the checkpoint {classes} "
            "classes; give a set that fits with --data"
        )
    confusion = np.zeros((classes, classes), np.int64)
    wraps, peak = dict.fromkeys(network.names, 0), dict.fromkeys(network.names, 0)
    wrong = np.zeros(images, bool)
    done = 0
    for trace in traces(checkpoint, fit_images(dataset.images, network.input)):
        labels = dataset.labels[done : done + len(trace.logits)]
        answers = classify(trace.logits)
        wrong[done : done + len(labels)] = answers != labels
        np.add.at(confusion, (labels, answers), 1)
        for layer in network.names:
            wraps[layer] += trace.wraps[layer]
            peak[layer] = max(peak[layer], trace.peaks[layer])
        done += len(labels)
        progress(done, images, f"evaluating on {dataset.name}")
    return Evaluation(images, int(wrong.sum()), wraps, confusion, peak, wrong)
