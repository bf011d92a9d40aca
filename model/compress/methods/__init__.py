"""The methods of compression by name. Each is a file: its paper, its hyper-parameters (``Options``), and ``run``.

None of them needs PyTorch to be imported; running does.
"""

from types import ModuleType

from . import (
    binary,
    distill,
    kmeans,
    l1,
    lasso,
    linear,
    magnitude,
    netadapt,
    powers,
    scratch,
    slimming,
    svd,
    taylor,
    ternary,
    thinet,
    ttq,
    tune,
    xnor,
)

__all__ = ["METHODS"]

IN_ORDER = (
    magnitude, l1, slimming, taylor, netadapt, lasso, thinet, svd, kmeans, linear, powers, ternary, ttq, binary,
    xnor, distill, scratch, tune,
)  # fmt: skip
METHODS: dict[str, ModuleType] = {module.__name__.rsplit(".", 1)[-1]: module for module in IN_ORDER}
