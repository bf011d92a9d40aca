"""Energy of an image, an estimate: operations counted from the sizes, times what each takes at 45 nm; no measurement.

Figures: M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, in pJ: an 8-bit addition
0.03, a 32-bit one 0.1, an 8-bit multiplication 0.2, reading 32 bits from an SRAM of 8 KB 5, from DRAM 640. Deep
Compression (Han et al. 2016) argues with the same ones. They are of an ASIC: an FPGA takes more for everything, and
clocks, wires, writes and leakage are left out, and Winograd's PEs are not known here. What is left tells one network
and its engines from another.
"""

from math import prod

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weight_form import WeightForm
from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, ceil_div

__all__ = ["energy", "operations"]

ADD_8_PJ = 0.03
ADD_32_PJ = 0.1
MULTIPLY_8_PJ = 0.2
SRAM_BIT_PJ = 5.0 / 32
DRAM_BIT_PJ = 640.0 / 32
CODE = 8  # bits of a Q2.6 code


def energy(network: Network, config: Config) -> dict[str, float]:
    """pJ of an image: ``multiplications`` (none where weights are signs or powers of two), ``additions`` (one for each
    product, and the comparisons of pooling), ``weights`` and ``activations`` (read from block RAM), ``total`` of these;
    and ``dram``, no part of it: what ``weights`` would be if they were read from DRAM."""
    counted = operations(network, config)
    estimated = {
        "multiplications": MULTIPLY_8_PJ * counted["multiplications"],
        "additions": ADD_32_PJ * counted["additions"] + ADD_8_PJ * counted["comparisons"],
        "weights": SRAM_BIT_PJ * counted["weight_bits"],
        "activations": SRAM_BIT_PJ * counted["activation_bits"],
    }
    estimated |= {"total": sum(estimated.values()), "dram": DRAM_BIT_PJ * counted["weight_bits"]}
    return {name: round(value, 3) for name, value in estimated.items()}


def operations(network: Network, config: Config) -> dict[str, int]:
    """What the engines do for an image: products of zeros that are not skipped included, idle lanes left out."""
    network = config.built(network)
    parts = [*conv_parts(network, config), *fc_parts(network, config)]
    names = ("multiplications", "additions", "weight_bits", "activation_bits")
    counted = dict(zip(names, map(sum, zip(*parts, strict=True)), strict=True))
    compared = sum(prod(stage.used) * stage.width for stage in stages(network).convs if stage.pool or stage.after)
    return counted | {"comparisons": compared}


def conv_parts(network: Network, config: Config) -> list[tuple[int, int, int, int]]:
    """Multiplications, additions, bits of weights and of activations of each convolution. A sweep reads each kernel of
    a group of output channels once, and a whole input map, or words of channels."""
    parts, form, word = [], config.engines.conv, config.conv_word_bytes
    for layer, stage in enumerate(stages(network).convs):
        swept = list(map(len, config.sweeps(network, layer)))
        groups = config.groups(stage.width)
        kernels = sum(len(group) * count for group, count in zip(groups, swept, strict=True))
        products = kernels * config.position_products * prod(stage.positions(config.windows))
        at_once = config.channels_at_once(network, layer)
        read = sum(swept) * (at_once * prod(stage.used) if at_once > 1 else stage.rows * stage.columns)
        parts.append((*work(products, form), kernels * word * form.bits, CODE * read))
    return parts


def fc_parts(network: Network, config: Config) -> list[tuple[int, int, int, int]]:
    """The same of each fully-connected layer. The dense engine's rows share a word of activations; in the bank-balanced
    engine each weight is stored with its place in the lane, and picks an activation of its own."""
    form, banked, parts = config.engines.fc, config.engines.words, []
    for layer, (outputs, inputs) in enumerate((one.outputs, one.inputs) for one in stages(network).fc):
        if banked:
            groups = [min(config.fc_rows, outputs - first) for first in range(0, outputs, config.fc_rows)]
            products = FC_WORD * sum(rows * words for rows, words in zip(groups, banked[layer], strict=True))
            place = (ceil_div(inputs, FC_WORD) - 1).bit_length()
            parts.append((*work(products, form), products * (CODE + place), products * CODE))
        else:
            products, read = outputs * inputs, ceil_div(outputs, config.fc_outputs) * inputs
            parts.append((*work(products, form), products * form.bits, read * CODE))
    return parts


def work(products: int, form: WeightForm) -> tuple[int, int]:
    """Multiplications and additions of that many products, where weights are stored as ``form``."""
    return (products if form.multiplies else 0), products
