"""What components ask of their surroundings, and when outputs count: for proofs that a mutant cannot be observed.

Conditions are Verilog over the ports of a small machine; each is in the docstring of its component, and its bench keeps
to it. A stream's payload counts while it is valid: that goes without saying here.
"""

__all__ = ["ASSUMED", "COUNTS", "MANY_PRODUCTS", "NOT_NEGATIVE", "STATE"]

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
}

# Of a small machine: registers that its conditions need.
STATE = {
    "kernel_fetcher": [  # ``plans`` of two and nine sets: how many of them are still to be taken
        "reg [3:0] sets = 0;",
        "reg was_layer = 0;",
        "always @(posedge clk) was_layer <= layer;",
        "always @(posedge clk) sets <= rst ? 0 : start ? (layer ? 9 : 2) : sets - (o__valid & o__ready & sets != 0);",
    ],
}

# Of a small machine: what holds in every cycle.
ASSUMED = {
    "kernel_fetcher": "sets == 0 | (layer == was_layer & !start)",
    "fc_engine": "!i__valid | !i__payload[7]",  # what comes from ReLU is not negative
    "bank_fc_engine": "!i__valid | !i__payload[7]",
    "activation_memory": "!i__valid | i__payload[164:160] == 4 | i__payload[164:160] == 20",  # ``counts``
    # Lanes 16 to 19 have none of its 96 codes in the last word, which is not read there, in neither row.
    "bank_activation_memory": "(!i__valid | i__payload[50:48] == 4 | i__payload[50:48] == 6)"
    + "".join(f" & !address[{3 * (20 * row + lane) + 2}]" for row in range(2) for lane in range(16, 20)),
}

# Of a small machine: memories, by a part of their names, whose codes have ReLU behind them or are pixels. Their highest
# bits are never written with a one: that is proved with the rest, and so they never read as one.
NOT_NEGATIVE = {
    "image_buffer": ("maps",),
    "fc_engine": ("inputs",),
    "bank_fc_engine": ("inputs",),
    "conv_engine": ("image", "features"),
    "skipping_conv_engine": ("image", "features"),
    "accelerator": ("image", "features", "inputs", "hidden"),
    "serial_accelerator": ("conv.image", "features", "inputs"),
    "axi_core": ("image", "features", "inputs"),
}

# Specimens whose proofs do without their multipliers, of which there are too many for ABC and Yosys.
MANY_PRODUCTS = ("conv_engine", "bank_fc_engine", "accelerator", "serial_accelerator", "axi_core")
