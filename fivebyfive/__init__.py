"""fivebyfive: a trained LeNet becomes Verilog that agrees with its golden model bit for bit.

    >>> import fivebyfive
    >>> network = fivebyfive.load()                     # the shipped checkpoint, or load("F.npz")
    >>> logits = network.predict(images)                # golden model; images uint8 (N, 28, 28)
    >>> accelerator = network.accelerator()
    >>> accelerator.write_verilog("build/lenet")        # Verilog, .mem files, manifest
    >>> accelerator.predict(images)                     # the same logits, from the RTL
"""

from .api import Accelerator, Network, load
from .model.config import Config
from .model.errors import UserError

__all__ = ["Accelerator", "Config", "Network", "UserError", "load"]
