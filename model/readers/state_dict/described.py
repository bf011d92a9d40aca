"""A reading that is said in full: the JSON of a network whose functions are named."""

from collections.abc import Sequence
from math import isfinite

from fivebyfive.model.description import decoded, network_of
from fivebyfive.model.network import Pool
from fivebyfive.model.readers.chain import as_float
from fivebyfive.model.readers.execution import FUNCTIONS
from fivebyfive.model.readers.steps import Activation, Convolution, Dense, Flatten, Pooling, Step, Steps
from fivebyfive.support.errors import shown

from .weights import Weights

__all__ = ["described_steps"]


def described_steps(text: str, layers: Sequence[Weights]) -> Steps:
    """The steps of a description with the weights of ``layers``, in their order. Its ``then`` has {"function": NAME},
    with parameters, where an integer network has "table"; BatchNorm stands right behind its layer. Raises ValueError,
    one line."""
    description = decoded(text)
    entries = description.get("layers") if isinstance(description, dict) else None
    functions = [taken_out(entry) for entry in entries] if isinstance(entries, list) else []
    if [isinstance(entry, dict) and entry.get("kind") for entry in entries or []] != [one.kind for one in layers]:
        kinds = ", ".join(one.kind for one in layers)
        raise ValueError(f"the description must have the layers of the file in their order: {kinds}")
    names = [str(entry.get("name")) for entry in entries or []]
    network = network_of(
        description, {f"{name}.weight": one.weight.shape for name, one in zip(names, layers, strict=True)}
    )
    steps: list[Step] = []
    for place, one, named in zip(network, layers, functions, strict=True):
        layer = place.layer
        if (wanted := place.arrays[f"{layer.name}.weight"]) != one.weight.shape:
            raise ValueError(f"{layer.name} of the description has weights of {wanted}, the file's {one.weight.shape}")
        if any(layer.fill):
            raise ValueError(f"{layer.name}: leave out fill; what a float network pads with is 0 behind normalization")
        if layer.kind == "conv":
            stride = layer.stride, layer.stride
            steps.append(Convolution(layer.name, one.weight, one.bias, stride, layer.padding, layer.groups))
        else:
            steps += [] if any(isinstance(step, Dense) for step in steps) else [Flatten(one.framework.order)]
            steps.append(Dense(layer.name, one.weight, one.bias))
        steps += [one.norm] if one.norm else []
        for step in layer.then:
            if isinstance(step, Pool):
                steps.append(Pooling(step.kind, (step.size, step.size), (step.stride, step.stride)))
            else:
                steps += named if step == "table" else [Activation("relu")]
    return Steps(network.input, tuple(steps), labels=network.labels)


def taken_out(entry: object) -> list[Activation]:
    """The functions of a layer; "table" is left in their place."""
    then = entry.get("then") if isinstance(entry, dict) else None
    if not isinstance(then, list):
        return []
    functions: list[Activation] = []
    made: list[object] = []
    for step in then:
        if step == "table":
            raise ValueError('a float network has no table; say {"function": NAME}')
        if isinstance(step, dict) and "function" in step:
            functions.append(function_of(step))
            step = "table"
        if step != "table" or made[-1:] != ["table"]:
            made.append(step)
    then[:] = made
    return functions


def function_of(step: dict) -> Activation:
    name, parameters = step["function"], {key: value for key, value in step.items() if key != "function"}
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise ValueError(f"no function is called {shown(name)[:60]}; there is {', '.join(FUNCTIONS)}")
    for key, value in parameters.items():
        if key not in ("alpha", "beta", "low", "high", "scale", "shift") or not isinstance(value, int | float):
            raise ValueError(f"{name} has no parameter {shown(key)[:60]} that is such a number")
        if not isfinite(as_float(value)):
            raise ValueError(f"{name}: {key} must be finite")
    return Activation(name, {key: as_float(value) for key, value in parameters.items()})
