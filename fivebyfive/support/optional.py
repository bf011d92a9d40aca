"""What only some commands need: looked up when such a command runs."""

import importlib
from types import ModuleType

from .errors import UserError

__all__ = ["require", "require_torch"]


def require(module: str, what: str, name: str, extra: str) -> ModuleType:
    """A module of an optional package, or UserError with the line that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{what} {name}; install it: pip install 'fivebyfive[{extra}]'") from error


def require_torch() -> ModuleType:
    """PyTorch."""
    return require("torch", "training and quantizing need", "PyTorch", "train")
