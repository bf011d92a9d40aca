"""The hyper-parameters of a method: a frozen dataclass whose fields say what they may be. Nothing here needs PyTorch.

The command line makes its options of these fields, plans their keys (`plan`).
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from fivebyfive.model.training.stage import Stage, finishing
from fivebyfive.model.training.train import MAX_INK, MAX_WARP

__all__ = ["ByLayer", "Tuning", "TuningOfLayers", "option"]


def option(default: Any, text: str, low: float | None = None, high: float | None = None, choices: tuple = ()) -> Any:
    """A field with its default, what it means, and the values it may have."""
    return field(default=default, metadata={"help": text, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class ByLayer:
    """A number for every layer (``default``), or one for each layer that is named; none at all is `empty`."""

    default: float | None = None
    named: tuple[tuple[str, float], ...] = ()

    @classmethod
    def parse(cls, value: object) -> "ByLayer":
        """Of a number, a table, or a text such as 0.1 or conv2=0.1,fc1=0.02. Raises ValueError."""
        if isinstance(value, ByLayer):
            return value
        if isinstance(value, dict):
            return cls(None, tuple((str(layer), _number(one)) for layer, one in value.items()))
        if isinstance(value, str) and "=" in value:
            pairs = (part.split("=", 1) if "=" in part else (part, "") for part in value.split(","))
            return cls(None, tuple((layer.strip(), _number(one)) for layer, one in pairs))
        return cls(_number(value)) if value not in ("", None) else cls()

    @property
    def empty(self) -> bool:
        return self.default is None and not self.named

    @property
    def values(self) -> tuple[float, ...]:
        """All numbers in it."""
        own = () if self.default is None else (self.default,)
        return own + tuple(value for _, value in self.named)

    def chosen(self, layers: tuple[str, ...]) -> dict[str, float]:
        """Layer to its number, in the order of ``layers``. Raises ValueError for a layer there is not."""
        for layer, _ in self.named:
            if layer not in layers:
                raise ValueError(f"the network has no layer {layer}; it has {', '.join(layers)}")
        if self.named:
            numbers = dict(self.named)
            return {layer: numbers[layer] for layer in layers if layer in numbers}
        return {} if self.default is None else dict.fromkeys(layers, self.default)

    @property
    def plain(self) -> float | dict[str, float] | str:
        """What `parse` makes it from, for TOML."""
        return dict(self.named) if self.named else "" if self.default is None else self.default


def _number(value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
    except ValueError as error:
        raise ValueError(f"a number, or numbers by layer like conv2=0.1,fc1=0.02, are needed, not {value}") from error
    return int(number) if number.is_integer() else number


@dataclass(frozen=True)
class Tuning:
    """What every method has: how the network is trained once weights are gone, with the rounding of the hardware.

    Raises ValueError where a value is out of range.
    """

    integers_by_layer: ClassVar[tuple[str, ...]] = ()  # fields of numbers by layer that must be whole

    epochs: int = option(6, "Of training afterwards, over all images.", 0, 10_000)
    clean_epochs: int = option(2, "The last ones, on images as they are.", 0, 10_000)
    learning_rate: float = option(1e-3, "At the start; it falls along a cosine.", 0.0, 1.0)
    warp: float = option(1.0, "Strength of augmentation; 0 is none.", 0.0, MAX_WARP)
    ink: float = option(0.0, "Strength of changes of strokes and ink; 0 is none.", 0.0, MAX_INK)
    flags: float = option(0.0, "Share of the ones that begin with a flag, as printed ones do.", 0.0, 1.0)
    teacher: str = option("", "Learn from this checkpoint's soft answers too; 'start' for what is compressed.")
    soft: float = option(0.7, "Share of the soft answers in the loss.", 0.0, 1.0)
    softness: float = option(3.0, "How much softer teacher and pupil are made for it.", 0.1, 100.0)
    decay: str = option("weights", "What weight decay pulls at.", choices=("weights", "all"))

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type is ByLayer:
                value = ByLayer.parse(value)
                object.__setattr__(self, one.name, value)
            for single in value.values if isinstance(value, ByLayer) else (value,):
                check(one.name, single, one.type, one.metadata, one.name in self.integers_by_layer)

    @property
    def all_epochs(self) -> int:
        """Epochs of everything that the method trains."""
        return self.epochs

    def stage(self, epochs: int | None = None, clean_epochs: int | None = None) -> Stage:
        """The quantized stage, of that many epochs instead of ``epochs``."""
        count = self.epochs if epochs is None else epochs
        clean = self.clean_epochs if clean_epochs is None else clean_epochs
        return self.decaying(finishing(count, self.learning_rate, clean, self.warp, self.ink, self.flags))

    def decaying(self, stage: Stage) -> Stage:
        """A stage with this weight decay."""
        return replace(stage, decay_all=self.decay == "all")

    @property
    def plain(self) -> dict[str, Any]:
        """Plain values, for TOML and JSON."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value.plain if isinstance(value, ByLayer) else value for name, value in values.items()}


@dataclass(frozen=True)
class TuningOfLayers(Tuning):
    """``layers``: those that a method changes, such as fc1,fc2; all where it is empty (`naming.named`). ``reach``: how
    far the weights that are trained go, in steps s; of 0 as far as Q2.6 does."""

    layers: str = option("", "Layers, such as fc1,fc2; all by default.")
    reach: float = option(0.0, "How far trained weights go, in steps s; 0: as far as Q2.6.", 0.0, 128.0)


def check(name: str, value: Any, kind: object, about: Any, whole: bool) -> None:
    """Raise ValueError unless the value is of its kind and in its range."""
    if (kind is int and type(value) is not int) or (whole and not isinstance(value, int)):
        raise ValueError(f"{name} must be a whole number, not {value}")
    if kind is float and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(f"{name} must be a number, not {value}")
    if kind is bool and type(value) is not bool:
        raise ValueError(f"{name} must be true or false, not {value}")
    if kind is str and not isinstance(value, str):
        raise ValueError(f"{name} must be a text, not {value}")
    low, high, choices = about["low"], about["high"], about["choices"]
    if choices and value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value}")
    if low is not None and not low <= value <= high:
        raise ValueError(f"{name} must be {low:g} to {high:g}, not {value}")
