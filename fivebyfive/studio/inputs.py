"""What the page sends: pictures, pixels, numbers of test images, and checkpoints. Nothing of it is ever a path."""

import base64
import io
import json
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fivebyfive.model.checkpoint import MAX_FILE, SHIPPED, Checkpoint, load_checkpoint, read_checkpoint
from fivebyfive.model.data.datasets import Dataset, fit_images, load_dataset
from fivebyfive.model.data.images import Size
from fivebyfive.model.data.pictures import picture_in
from fivebyfive.model.machine.stages import stages
from fivebyfive.support.errors import UserError

from .guard import Refused

__all__ = ["MAX_CHECKPOINT", "MAX_DIGIT", "Catalog", "encoded", "picture_pixels", "read_json", "samples", "sent_pixels"]

MAX_DIGIT = 20 << 20  # bytes of a picture, before it is decoded
MAX_CHECKPOINT = MAX_FILE
MOST_OWN = 20  # checkpoints of the user's that are kept
PICTURE, OWN_FILE = Path("the picture"), Path("the file")  # in messages


def encoded(values: np.ndarray) -> str:
    """Bytes of an array of uint8 or int8 in base64."""
    return base64.b64encode(values.tobytes()).decode("ascii")


def read_json(body: bytes) -> dict[str, Any]:
    """A body that is an object of JSON. Raises Refused."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the request is not JSON ({error}); reload the page") from error
    if not isinstance(value, dict):
        raise Refused(400, "the request must be an object of JSON; reload the page")
    return value


@cache
def samples() -> Dataset:
    """The MNIST test images."""
    return load_dataset("mnist", "test")


def picture_pixels(data: bytes, size: Size) -> tuple[np.ndarray, tuple[str, ...]]:
    """A picture for an input of ``size``: pixels, uint8 of that shape, and remarks on them. Raises Refused."""
    try:
        pixels, remarks = picture_in(data, PICTURE)
    except UserError as error:
        raise Refused(422, str(error)) from error
    colours = f"a picture is taken for a digit, the same in all {size[0]} channels"
    return fitted(pixels, size), remarks + ((colours,) if size[0] > 1 else ())


def sent_pixels(wanted: dict[str, Any], size: Size) -> tuple[np.ndarray, tuple[str, ...]]:
    """The image that the page means by {"sample": number} or {"pixels": base64}. Raises Refused."""
    if "sample" in wanted:
        return fitted(samples().images[sample_index(wanted["sample"])], size), ()
    try:
        data = base64.b64decode(wanted.get("pixels"), validate=True)  # type: ignore[arg-type]  # a TypeError is caught
    except (TypeError, ValueError) as error:
        raise Refused(400, "give pixels in base64, or the number of a sample; reload the page") from error
    if len(data) != prod(size):
        raise Refused(422, f"an image of this network has {prod(size):,} pixels, not {len(data):,}; reload the page")
    return np.frombuffer(data, np.uint8).reshape(size), ()


def fitted(digit: np.ndarray, size: Size) -> np.ndarray:
    """A digit, uint8 (28, 28), in an input of ``size``. Raises Refused where that is smaller."""
    try:
        return fit_images(digit[np.newaxis], size, "choose another network").reshape(size)
    except UserError as error:
        raise Refused(422, str(error)) from error


def sample_index(value: object) -> int:
    """The number of a test image. Raises Refused."""
    count = len(samples())
    if type(value) is not int or not 0 <= value < count:
        raise Refused(404, f"there are test images 0 to {count - 1:,}; give one of these numbers")
    return value


class Catalog:
    """The checkpoints that the page offers: those that ship, the user's own.

    ``first``: the path of the one to begin with.
    """

    def __init__(self, first: Path = SHIPPED):
        shipped = sorted(SHIPPED.parent.glob("*.npz"), key=lambda path: (path != SHIPPED, path.stem))
        self.paths = {path.stem: path for path in shipped}
        self.first = next((name for name, path in self.paths.items() if path == first), "")
        self.checkpoints: dict[str, Checkpoint] = {}
        self.own = 0
        if not self.first:
            self.first = self.add(load_checkpoint(first), f"{first.stem}")

    def __getitem__(self, name: object) -> Checkpoint:
        """The checkpoint of that name. Raises Refused."""
        if not isinstance(name, str) or name not in {*self.paths, *self.checkpoints}:
            raise Refused(404, "there is no such checkpoint; reload the page, and give your own file again")
        if name not in self.checkpoints:
            self.checkpoints[name] = load_checkpoint(self.paths[name])
        return self.checkpoints[name]

    def read(self, data: bytes) -> str:
        """The name under which a checkpoint of the user's is kept. Raises Refused where it is none."""
        try:
            checkpoint = read_checkpoint(OWN_FILE, io.BytesIO(data))
        except UserError as error:
            raise Refused(422, str(error)) from error
        self.own += 1
        return self.add(checkpoint, f"own-{self.own}")

    def add(self, checkpoint: Checkpoint, name: str) -> str:
        while name in {*self.paths, *self.checkpoints}:
            name += "'"
        self.checkpoints[name] = checkpoint
        own = [name for name in self.checkpoints if name not in self.paths]
        for old in own[:-MOST_OWN]:
            del self.checkpoints[old]
        return name

    def entry(self, name: str) -> dict[str, Any]:
        """What the page is told of a checkpoint."""
        checkpoint = self[name]
        parts = stages(checkpoint.network)
        return {
            "name": name,
            "title": f"{name}: {checkpoint.summary}",
            "input": list(checkpoint.network.input),
            "engines": [engine for engine, layers in (("conv", parts.convs), ("fc", parts.fc)) if layers],
            "default": name == self.first,
        }

    def entries(self) -> list[dict[str, Any]]:
        return [self.entry(name) for name in dict.fromkeys([self.first, *self.paths, *self.checkpoints])]
