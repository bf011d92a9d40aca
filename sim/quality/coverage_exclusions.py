"""Why a bench never sees some blocks run and some bits toggle: what was looked at and found to be no hole.

`fivebyfive.verify.coverage` asks for the reason of each block and signal that `coverage` found never seen. What sits in
a part that has a bench of its own is that bench's business: inside a larger machine a part sees one size, one set of
weights and what its neighbours can do.
"""

import re

__all__ = ["of_another_bench", "reason"]

# Modules inside a component that have benches of their own, under the component's name.
PARTS = re.compile(
    r"(?:conv_pe|packed_conv_pe|conv_array|(?:skipping_)?conv_engine|fc_row|packed_fc_row|(?:bank_|sparse_)?fc_engine|image_buffer"
    r"|accelerator|lenet|cascade)_\w+"
    r"|axi_core_accelerator\w*|serial_accelerator_(?:lenet|deframer|framer|receiver|transmitter)\w*"
)

# Components through which codes go that are never negative.
NATURAL = re.compile(r"(?:pooling|(?:skipping_)?conv_engine|image_buffer|(?:bank_|sparse_)?fc_engine|accelerator)\.")
SIGNS = "the sign of codes that are never negative: pixels, and what ReLU has made"
NUMBERS = "numbers of cycles and images: few images of a small machine do not reach them, or they are always the same"

# The first that fits. Where a size is the reason, tests/sim/test_components.py runs others.
REASONS: tuple[tuple[str, str], ...] = (
    (r"pooling:\d+ cond_then: assign \w+ = larger_cell_\d+\[7\] \?",
     "a cell is the larger of two pairs, and ReLU has been at both"),
    (r"(?:(?:skipping_)?conv_engine|pixel_feeder)\.o__payload\[8:7\]$",
     "how many codes come at once, always 1 here, and their sign"),
    (r"conv_engine\.tap\[18\]$|skipping_conv_engine\.tap\[22\]$|accelerator\.conv_tap\[26, 18\]$", SIGNS),
    (r"(?:bank_|sparse_)?(?:activation_memory|fc_engine)\.i__ready\[0\]$|axi_core\.m_axis_tkeep\[3:0\]$", "constant"),
    (r"(?:bank_)?activation_memory\.(?:end_\[5\]|lane\[0\])$",
     "lanes are even and under 20: 6 or 4 codes are written at once"),
    (r"(?:sparse_)?line_buffer(?::\d+ cond_then: assign \w+ = \w+ \? \w+ : fill;$|\.below\[0\]$)",
     "no map here has rows of padding below it; others have"),
    (r"sparse_line_buffer\._signal_(?:28\[0\]|35\[5\])$",
     "constant: of a word of bits the lowest that is set is taken away, or a bit above the others is added"),
    (r"(?:sparse_)?line_buffer\.(?:row|_signal_28)\[3\]$",
     "rows and columns of positions, of which there are at most eight here"),
    (r"(?:sparse_)?map_memory\.(?:w_set|r_set)\[0\]$", "one set of maps; others have two"),
    (r"conv_controller:\d+ else: if \((?:! )?bias_index\) begin$|conv_controller\.bias_address\[10:3\]$"
     r"|skipping_conv_engine\.bias_address\[4:2\]$",
     "layers of up to 25 channels have one bias word; others have two and four"),
    (r"fc_controller:\d+ if: if \(1'h0\) begin$|fc_controller\.command\[4\]$|fc_engine\.command(?:_\d+)?\[4\]$",
     "sums are put by with early_fc only, which others have"),
    (r"fc_engine\.i__payload_60\[8\]$|bank_fc_engine\.i__payload_62\[8\]$",
     "how many results come at once: one, with one row; others have more"),
    (r"fc_controller\._signal\[6\]$", "addresses of biases: 0 to 3, and from 183 on"),
    (r"uart_transmitter\.word\[8\]$", "the stop bit, which moves in: always 1"),
    (r"conv_engine\.(?:short|long)\[0\]$",
     "frames of wrong lengths reach the image buffer and to whole accelerators"),
    (r"serial_accelerator(?:_link)?\.pixels__ready\[0\]$|serial_accelerator_link:\d+ else: if \(pixels__ready\) begin$",
     "pixels come over the line more slowly than the accelerator takes them"),
    (r"serial_accelerator(?:_link)?\.(?:header|i__payload|answer__payload)\[",
     "lengths and kinds that no frame of the link has; deframer and framer get any"),
    (r"serial_accelerator_link:\d+ (?:else: if \((?:1'h1|! number\[15:7\])\) begin"
     r"|cond_then: assign \w+ = \w+ \? 32'd4294967295 : \w+;)$",
     "images of one part; `test_any_network` in tests/sim/test_serial.py has one of two"),
    (r"(?:serial_accelerator(?:_link)?|(?:cascade_)?accelerator|axi_core|lenet)\.(?:cycles|latency)\[", NUMBERS),
    (r"axi_core_registers\.port_\d+_0\[|cascade\.(?:images|asked)\[", NUMBERS),
    (r"cascade\.held\[3\]$", "the first accelerator takes fewer images than the memory has room for"),
    (r"sparse_map_memory\._signal\[5\]$",
     "columns of a row so far; with the sixth the row is whole, and they begin anew"),
    (r"sparse_map_memory\._signal_33\[2\]$", "the first channel of those that are written together, 0 or 3 here"),
    (r"cascade\.i__ready_\d+\[0\]$",
     "the second accelerator rests when an image is sent to it, so it takes each transfer"),
    (r"axi_core(?:_loader|_registers)?\.(?:load_)?address_w\[1:0\]$", "addresses of bytes, of whole words"),
    (r"lenet\.(?:load__(?:valid|payload|en(?:_\d+)?)|short|long|status|grant)\[",
     "no weights are loaded and all frames have the right length; the bench of `Accelerator` does and has others"),
    (r"lenet\.(?:conv_tap\[23:22\]|i__payload_\d+\[8:6\])$", SIGNS),
    (r"axi_core(?:_registers)?\.(?:(?:conv|fc)_cycles|latency|interval|images|dropped|(?:in|out)put_stalls)\[",
     NUMBERS),
    (r"axi_core(?:\.[rw]_data|_numbers\.(?:r_data|w_port__data)|_frames\.number)\[15:4\]$", NUMBERS),
    (r"axi_core_numbers\.(?:level\[3\]|w_rdy\[0\])$", "the queue is never full: it has room for more than are inside"),
    (r"axi_core(?:_registers)?\.(?:frame|image_shape|layers|network|machine|engines|tables)\[31:0\]$",
     "registers that say what was built: constant"),
    (r"axi_core(?:_registers)?\.(?:control_w|irq_(?:enable|status\w*))\[31:2\]$", "reserved bits of registers"),
    (r"axi_core(?:_registers)?\.errors(?:_set|_cleared)?\[31:4\]$", "reserved bits of registers"),
    (r"axi_core(?:_registers)?\.status\[31:12, 7:2\]$", "reserved bits of registers"),
    (r"axi_core(?:_registers\.load_address|\.load_address|_loader\.address_13)\[30:\d\]$",
     "read, an address is past the end of these memories by less than a bit"),
    (r"axi_core(?:_lite)?\.(?:s_axi_[br]resp|b__payload)\[0\]$", "answers are OKAY (0) and SLVERR (2)"),
    (r"axi_core(?:\.s_axi_rdata|\w*\.bus__r_data|_lite\.response|(?:_lite)?\.r__payload)"
     r"\[(?:32|(?:32, )?27, 17, 15:14)\]$",
     "bits that are 0 in every register here; and answers are OKAY (0) and SLVERR (2)"),
)  # fmt: skip


def of_another_bench(module: str) -> bool:
    """Whether a module is a part that has a bench of its own."""
    return PARTS.fullmatch(module) is not None


def reason(what: str) -> str | None:
    """Why ``what`` (``module.signal[bits]``, or ``module:line kind: text``) was never seen; None if nobody knows."""
    found = re.search(r"\[([\d, ]+)\]$", what)
    if found and NATURAL.match(what) and all(int(bit) % 8 == 7 for bit in found[1].split(",")):
        return SIGNS
    return next((why for pattern, why in REASONS if re.match(pattern, what)), None)
