"""Checkpoints, tables and data sets of jobs: what a process, here or elsewhere, needs to have the same."""

import base64
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset, load_dataset
from fivebyfive.model.data.named_sets import NAMED_SETS
from fivebyfive.model.description import read_network, written
from fivebyfive.support.errors import UserError

__all__ = [
    "checkpoint_of", "checkpoint_texts", "data_digest", "load_same", "place_of",
]  # fmt: skip


def checkpoint_texts(checkpoint: Checkpoint) -> dict[str, str]:
    """A checkpoint as texts: ``network`` (`written`, or with its labels) and ``codes``."""
    codes = b"".join(array.tobytes() for array in checkpoint.arrays.values())
    return {
        "network": checkpoint.description or written(checkpoint.network),
        "codes": base64.b64encode(zlib.compress(codes, 6)).decode(),
    }


def checkpoint_of(text: str, codes: str) -> Checkpoint:
    """The checkpoint again. Raises ValueError where that is none."""
    network = read_network(text)
    try:
        data = zlib.decompress(base64.b64decode(codes, validate=True))
    except zlib.error as error:
        raise ValueError(f"codes that are not packed: {error}") from error
    arrays, place = {}, 0
    for name, dimensions in network.arrays.items():
        size = int(np.prod(dimensions))
        arrays[name] = np.frombuffer(data[place : place + size], np.int8).reshape(dimensions).copy()
        place += size
    return Checkpoint(network, arrays)


def place_of(data: str) -> str:
    """A data set's name, or its folder, wherever one works."""
    return data if data in NAMED_SETS else str(Path(data).absolute())


def data_digest(data: Dataset) -> str:
    """SHA-256 of images and labels."""
    return sha256(data.images.tobytes() + data.labels.tobytes()).hexdigest()


def load_same(data: str, split: str, digest: str) -> Dataset:
    """The data set of that name or folder. Raises UserError where it differs from the one that the caller has."""
    found = load_dataset(data, split)
    if data_digest(found) != digest:
        raise UserError(f"{data} is another data set here, or has changed; all machines need the same")
    return found
