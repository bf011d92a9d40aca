"""Names of TensorFlow's variables: which of them are weights, and what PyTorch calls them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fivebyfive.model.readers.state_dict.tensors import natural

__all__ = ["Variable", "as_layers"]

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # behind the names of TensorFlow 2
OBJECTS = re.compile(r"(^|/)(\.OPTIMIZER_SLOT|\.ATTRIBUTES|optimizer|keras_api|seed_generator)(/|$)|^_CHECKPOINT")
SLOT = re.compile(  # of an optimizer, behind the name of its variable
    r"(.+)/(Adam|AdamW?|AdaMax|Nadam|AMSGrad|Momentum|RMSProp|Adagrad|AdagradDA|Adadelta|Ftrl|LARS|LAMB"
    r"|ExponentialMovingAverage)(_[0-9]+)?",
    re.S,
)
BOOKKEEPING = re.compile(
    r"(beta_?[12](_power)?|(global|local)_?step|step|save_counter|learning_rate|lr|decay|momentum|rho|epsilon"
    r"|iter|iterations|keep_prob|epoch|count|total"
    r")(_[0-9]+)?"  # a name that there was already is counted
)
PARTS = {
    "kernel": "weight", "kernels": "weight", "weight": "weight", "weights": "weight", "w": "weight",
    "depthwise_kernel": "weight", "depthwise_weights": "weight", "pointwise_kernel": "weight",
    "pointwise_weights": "weight", "bias": "bias", "biases": "bias", "b": "bias", "gamma": "weight", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
KIND = re.compile(r"(?<![a-z])(?:weights?|kernels?|filters?|bias(?:es)?|[wb](?=[a-z]?(?![a-z])))")
DEFAULT = re.compile(r"(?:.*/)?Variable(?:_[0-9]+)?", re.S)  # without a name of its own, counted as they are made
AXES = {4: (3, 2, 0, 1), 2: (1, 0)}  # of (rows, columns, in, out) and (in, out)
DEPTHWISE = (2, 3, 0, 1)  # of (rows, columns, in, multiplier)


@dataclass(frozen=True)
class Variable:
    """``source``: TensorFlow's name; ``name``: PyTorch's, whose axes are ``axes`` of the source's. ``depthwise``: the
    first two of them become outputs, each of one input."""

    source: str
    name: str
    axes: tuple[int, ...]
    depthwise: bool = False


def as_layers(variables: Mapping[str, tuple[str, tuple[int, ...]]]) -> list[Variable]:
    """The weights among ``variables``, name to type and shape, sorted by the names of their layers, numbers in them as
    numbers. What training alone needs is left out: optimizers' slots, moving averages beside their variables, steps,
    rates. Biases go to the weights of the same name, or of the same number where nobody gave names; others are left to
    the shapes. Raises ValueError, one line, where two have the same name."""
    kept = {name: shape for name, (dtype, shape) in variables.items() if not left_out(name, dtype, shape, variables)}
    whole = {name: name.removesuffix(VALUE) for name in kept}
    partners = biases_of({whole[name]: shape for name, shape in kept.items()})
    names = set(whole.values())
    made: dict[str, Variable] = {}
    order: dict[str, list] = {}
    for name, shape in kept.items():
        module, part = named(whole[name], shape, partners, names)
        depthwise = len(shape) == 4 and "depthwise" in name.lower()
        axes = DEPTHWISE if depthwise else AXES.get(len(shape), tuple(range(len(shape))))
        module = module.replace("/", ".")
        full = ".".join(filter(None, (module, part)))
        if full in made:
            raise ValueError(f"{name[:60]} and {made[full].source[:60]} are both {full[:60]}; save one of them alone")
        made[full], order[full] = Variable(name, full, axes, depthwise), [natural(module), part]
    return [made[full] for full in sorted(made, key=lambda full: order[full])]


def left_out(name: str, dtype: str, shape: tuple[int, ...], variables: Mapping[str, tuple]) -> bool:
    """Whether a variable is no weight."""
    if OBJECTS.search(name.removesuffix(VALUE)):
        return True
    slot = SLOT.fullmatch(name)
    if slot and slot[1] in variables and variables[slot[1]][1] == shape:
        return True
    last = name.removesuffix(VALUE).rpartition("/")[2].lower()
    return shape == () and (dtype in ("int32", "int64") or bool(BOOKKEEPING.fullmatch(last)))


def named(name: str, shape: tuple[int, ...], partners: Mapping[str, str], names: set[str]) -> tuple[str, str]:
    """The layer and the part of it that a variable is: weight, bias, running_mean, running_var, or "" where its name
    does not say."""
    module, _, last = name.rpartition("/")
    if part := part_of(last):
        separable = [word for word in ("kernel", "weights") if f"{module}/pointwise_{word}" in names]
        if separable and f"{module}/depthwise_{separable[0]}" in names:
            module += "/depthwise" if last.lower().startswith("depthwise") else "/pointwise"
        return module, part
    if name in partners:
        return partners[name], "bias"
    return name, "weight" if len(shape) in AXES else ""


def part_of(last: str) -> str:
    """What the last part of a name says, "" where it says nothing."""
    return PARTS.get(last.lower().removeprefix("_"), "")


def biases_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Of biases whose last part does not say so, such as b_conv1 or Variable_1, the weights that they belong to."""
    loose = {name: shape for name, shape in shapes.items() if not part_of(name.rpartition("/")[2])}
    weights = sorted((name for name, shape in loose.items() if len(shape) in AXES), key=natural)
    biases = sorted((name for name, shape in loose.items() if len(shape) == 1), key=natural)
    if len(weights) == len(biases) and all(map(DEFAULT.fullmatch, (*weights, *biases))):
        pairs = list(zip(biases, weights, strict=True))
    else:
        stems: dict[str, list[str]] = {}
        for name in weights:
            stems.setdefault(stem(name), []).append(name)
        pairs = [(name, stems[stem(name)][0]) for name in biases if len(stems.get(stem(name), ())) == 1]
    fitting = {bias: weight for bias, weight in pairs if shapes[bias][0] == outputs(weight, shapes[weight])}
    return fitting if len({*fitting.values()}) == len(fitting) == len(pairs) else {}


def outputs(name: str, shape: tuple[int, ...]) -> int:
    return shape[2] * shape[3] if len(shape) == 4 and "depthwise" in name.lower() else shape[-1]


def stem(name: str) -> str:
    """A name without the words for weights and biases: W_conv1 and b_conv1, weights/c1 and biases/c1 have the same."""
    return KIND.sub("", name.lower())
