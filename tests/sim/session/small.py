"""A small machine with every kind of part, which several tests share: it is compiled once."""

from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.network import Layer, Network, Pool

ALL_KINDS = Network(
    (2, 10, 9),
    (
        Layer("c1", "conv", 5, 3, padding=(1, 1, 1, 1), fill=(3,), then=("table", Pool("average", 2, 2))),
        Layer("c2", "conv", 3, 2, then=("relu",)),
        Layer("f1", "fc", 30, then=("relu",)),
        Layer("f2", "fc", 4),
    ),
)
SIZE = Size(conv_pes=2, fc_rows=2, early_fc=True)
SEED = 3  # of its weights
