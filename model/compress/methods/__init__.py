"""The methods of compression by name. Each is a file: its paper, its hyper-parameters (``Config``), and ``run``.

None of them needs PyTorch to be imported; running does.
"""

from types import ModuleType

from . import binary, distill, kmeans, linear, magnitude, ternary, tune

__all__ = ["METHODS"]

METHODS: dict[str, ModuleType] = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (magnitude, kmeans, linear, ternary, binary, distill, tune)
}
