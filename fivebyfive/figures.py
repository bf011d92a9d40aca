"""What the counters of a run say beside what the arithmetic alone would take."""

from fivebyfive.model.config import Config
from fivebyfive.model.shape import FC_WORD, LeNetShape

__all__ = ["limits", "utilization"]


def limits(shape: LeNetShape, config: Config) -> dict[str, int]:
    """Cycles of an image if every multiplier of an engine worked in each of them: {"conv": ..., "fc": ...}.

    A kernel takes a cycle for each of its windows; W windows and O output channels are computed at once. An
    output of a fully-connected layer takes a cycle for each 20 inputs; R outputs are computed at once.
    """
    conv1 = shape.conv1_out**2 * ceil(shape.conv1, config.outputs)
    conv2 = shape.conv2_out**2 * shape.conv1 * ceil(shape.conv2, config.outputs)
    fc = (
        ceil(inputs, FC_WORD) * ceil(outputs, config.fc_rows)
        for outputs, inputs in zip(shape.fc, shape.fc_inputs, strict=True)
    )
    return {"conv": (conv1 + conv2) // config.windows, "fc": sum(fc)}


def utilization(shape: LeNetShape, config: Config, interval: float | None) -> float | None:
    """Multiplications of an image as a part, 0 to 1, of what the multipliers could do in so many cycles."""
    return sum(shape.macs.values()) / (interval * config.multipliers) if interval else None


def ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)
