"""What only training needs."""

from types import ModuleType

from .errors import UserError

__all__ = ["require_torch"]


def require_torch() -> ModuleType:
    """PyTorch, or UserError with the line that says how to get it."""
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "training and quantizing need PyTorch; install it: pip install 'fivebyfive[train]'"
        ) from error
    return torch
