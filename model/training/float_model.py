"""A float network of any file that holds one, and the scaling of its pixels where the file says it."""

from pathlib import Path

import numpy as np

from fivebyfive.model.description import read_network, written
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.formats import FORMATS, read_float_network
from fivebyfive.support.errors import UserError

from .state_dict import SUFFIXES, read_state

__all__ = ["read_model"]


def read_model(path: Path) -> tuple[FloatNetwork, Scaling | None]:
    """The network in a file: one with a graph (`FORMATS`), or a state_dict, which is a `LeNetShape`'s. Raises
    UserError, one line, for any other file, and for a network that no checkpoint holds."""
    if path.suffix.lower() in FORMATS:
        network = read_float_network(path)
    elif path.suffix in SUFFIXES:
        network = of_state_dict(path)
    else:
        raise UserError(
            f"{path}: a float network is a {', '.join(FORMATS)} file, or a state_dict in a {', '.join(SUFFIXES)} file; "
            "export it as one of them"
        )
    try:
        read_network(written(network.network))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return network, None


def of_state_dict(path: Path) -> FloatNetwork:
    """The network of the brief's form that has these tensors."""
    shape, state = read_state(path)
    arrays = {name: tensor.numpy().astype(np.float64) for name, tensor in state.items()}
    channels = shape.network.input[0]
    return FloatNetwork(shape.network, arrays, {}, {}, np.ones(channels), np.zeros(channels))
