"""What components ask of their surroundings, and when outputs count: for proofs that a mutant cannot be observed.

Conditions are Verilog over the ports of a specimen; each is said in the docstring of its component, and its bench keeps
to it. A stream's payload counts while it is valid: that goes without saying here.
"""

__all__ = ["ASSUMED", "COUNTS"]

# Of a specimen: an output, and when it counts.
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

# Of a specimen: what holds in every cycle.
ASSUMED = {
    "activation_memory": "!i__valid | i__payload[50:48] == 4 | i__payload[50:48] == 6",  # ``counts``
}
