"""The whole accelerator: what is proved of its parts holds inside of it, in its own netlist.

The result: once valid it stays as it is until it is taken; its logits are those that the rows delivered, and its
class is right.
"""

import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.model.config import Config
from fivebyfive.model.shape import LeNetShape

from . import test_argmax
from .netlist import netlist
from .seeded import broken

LENET = LeNetShape(20, 50, (500, 10))


def prove_result(accelerator, config: Config) -> None:
    test_argmax.Proof(LENET.classes, config.fc_outputs, netlist(accelerator), "fc.argmax.").prove()


@pytest.mark.parametrize("config", [Config(), Config(windows=4, outputs=5, fc_rows=6)], ids=["45", "620"])
def test_the_result_stays_and_is_right(config: Config) -> None:
    prove_result(Accelerator(LENET, config), config)


def test_a_bug_is_refuted() -> None:
    bug = "self.i.ready.eq(received != transfers)", "self.i.ready.eq(~self.o.valid)"
    accelerator = broken("accelerator", "Accelerator", *bug, within="argmax")
    with pytest.raises(AssertionError, match="not always so"):
        prove_result(accelerator(LENET, Config()), Config())
