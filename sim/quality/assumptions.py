"""What components ask of their surroundings, and when outputs count: for proofs that a mutant cannot be observed.

Conditions are Verilog over the ports of a small machine; each is in the docstring of its component, and its bench keeps
to it (`tests/sim/quality/test_assumptions.py`). A stream's payload counts while it is valid: that goes without saying
here.
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["ASSUMED", "COUNTS", "MANY_PRODUCTS", "NOT_NEGATIVE", "PROMISES", "STATE", "Promise", "whole_maps"]


def whole_maps(sizes: Sequence[tuple[int, int]]) -> tuple[list[str], str]:
    """That ``size`` of a `Pooling` changes only between maps, which have so many rows and columns: registers, and a
    condition. A reset may come at any time."""
    last_row, last_column = (
        "".join(f"size == {n} ? {size[axis] - 1} : " for n, size in enumerate(sizes)) + "0" for axis in range(2)
    )
    registers = [
        "reg [7:0] row = 0;",  # of the next code
        "reg [7:0] column = 0;",
        "reg [7:0] was_size = 0;",
        f"wire row_ends = column == ({last_column});",
        f"wire map_ends = row_ends & row == ({last_row});",
        "always @(posedge clk) was_size <= size;",
        "always @(posedge clk) if (rst | i__valid) column <= rst | row_ends ? 0 : column + 1;",
        "always @(posedge clk) if (rst | i__valid & row_ends) row <= rst | map_ends ? 0 : row + 1;",
    ]
    return registers, f"rst | (size < {len(sizes)} & (row == 0 & column == 0 | size == was_size))"


# Of the 96 codes of the bank_activation_memory lanes 16 to 19 have none in the last word, of two rows each.
ENDED = [20 * row + lane for row in range(2) for lane in range(16, 20)]
MAPS = whole_maps(((7, 5), (6, 9), (2, 3)))

# Of a small machine: an output, and when it counts.
COUNTS = {
    "conv_controller": {
        "bias_address": "bias_request & !bias_index",  # of a second word, which is empty in both layers, none is wanted
        "bias_index": "bias_en",
    },
    "uart_receiver": {"o": "o_valid"},
    "axi_core": {
        **{f"m_axis_{name}": "m_axis_tvalid" for name in ("tdata", "tkeep", "tlast")},
        **{f"s_axi_{name}": "s_axi_rvalid" for name in ("rdata", "rresp")},
        "s_axi_bresp": "s_axi_bvalid",
    },
    # Some bits are undefined: the port counts where another one differs.
    "bank_activation_memory": {
        "data": "|((data ^ gate_data) & ~{"
        + ", ".join(f"{{8{{ended[{lane}]}}}}" if lane in ENDED else "8'b0" for lane in reversed(range(40)))
        + "})"
    },
}

# Of a small machine: registers that its conditions need.
STATE = {
    "kernel_fetcher": [  # ``plans`` of two and nine sets: how many of them are still to be taken
        "reg [3:0] sets = 0;",
        "reg was_layer = 0;",
        "always @(posedge clk) was_layer <= layer;",
        "always @(posedge clk) sets <= rst ? 0 : start ? (layer ? 9 : 2) : sets - (o__valid & o__ready & sets != 0);",
    ],
    "any_pooling": MAPS[0],
    "bank_activation_memory": [  # lanes that were asked for a code that they do not have
        "reg [39:0] ended = 0;",
        *(f"always @(posedge clk) ended[{lane}] <= address[{3 * lane + 2}];" for lane in ENDED),
    ],
}

# Of a small machine: what holds in every cycle.
ASSUMED = {
    "kernel_fetcher": "sets == 0 | (layer == was_layer & !start)",
    "fc_engine": "!i__valid | !i__payload[7]",  # what comes from ReLU is not negative
    "bank_fc_engine": "!i__valid | !i__payload[7]",
    "sparse_fc_engine": "!i__valid | !i__payload[7] & i__payload[8]",  # and it is a code, not none
    "any_pooling": MAPS[1],
    "activation_memory": "!i__valid | i__payload[164:160] == 4 | i__payload[164:160] == 20",  # ``counts``
    "bank_activation_memory": "!i__valid | i__payload[50:48] == 4 | i__payload[50:48] == 6",
}

# Of a small machine: memories, by a part of their names, whose codes have ReLU behind them or are pixels. Their highest
# bits are never written with a one: that is proved with the rest, and so they never read as one.
NOT_NEGATIVE = {
    "image_buffer": ("maps",),
    "fc_engine": ("inputs",),
    "bank_fc_engine": ("inputs",),
    "sparse_fc_engine": ("inputs", "hidden"),
    "conv_engine": ("image", "features"),
    "skipping_conv_engine": ("image", "features"),
    "accelerator": ("image", "features", "inputs", "hidden"),
    "cascade": ("image", "features", "inputs", "hidden"),
    "serial_accelerator": ("conv.image", "features", "inputs"),
    "axi_core": ("image", "features", "inputs"),
}

# Specimens whose proofs do without their multipliers, of which there are too many for ABC and Yosys.
MANY_PRODUCTS = (
    "conv_engine",
    "bank_fc_engine",
    "sparse_fc_engine",
    "skipping_conv_engine",
    "accelerator",
    "cascade",
    "serial_accelerator",
    "axi_core",
)


class Promise(NamedTuple):
    """What a small machine promises one of its parts. Nothing of it is assumed: it is proved of the machine
    (`part_proofs`).

    ``holds``: a condition that holds in every cycle, Verilog over the part's ports and the registers in ``state``.
    """

    state: tuple[str, ...] = ()
    holds: str = "1"


# From the first logit of an image on another one comes in each cycle, up to the tenth: to an `Argmax` of one row.
LOGITS_IN_TURN = Promise(
    (
        "reg [3:0] got = 0;",
        "always @(posedge clk) got <= rst | (o__valid & o__ready) ? 0 : got + (i__valid & i__ready);",
    ),
    "rst | got == 0 | got == 10 | i__valid",
)

# By the part's module.
PROMISES = {"fc_engine_argmax": LOGITS_IN_TURN}
