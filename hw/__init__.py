"""The accelerator as Amaranth components, each usable alone, and the writer that makes Verilog of them.

    pixels -> image_buffer -> line_buffer -> conv_array of conv_pe of dot_product -> pooling -+
                                  ^                ^                                          |
              map_memory ---------+          kernel_fetcher <- weight_memory    conv1         |  conv2
                  ^                                                               |           |
                  +---------------------------------------------------------------+           v
    logits, class <- argmax <- fc_row of dot_product (20 lanes) <- weight_memory    activation_memory

Package `conv` holds the left half, `fc` the right one, `common` and `products` what both are made of.
`conv_controller` and `fc_controller` sequence them; `conv_engine` and `fc_engine` connect the parts of each half,
`accelerator` the halves; `counters` count their cycles. A weight comes from `fivebyfive.model.machine.weights.pack`
into a `weight_memory`.

Weights that allow it have other parts in their place (`fivebyfive.model.machine.engines`): `sweep_list` for kernels
that are skipped, `narrow_weight_memory` with its `codebook`, `sign_dot_product` without multipliers,
`xnor_dot_product` where activations are signs, too, and for weights that are mostly zero `bank_fc_engine` of
`bank_weight_memory`, `bank_activation_memory` and `bank_fc_controller`.
`packed_dot_product`, in `packed_conv_pe` and `packed_fc_row`, computes two products in a DSP block; `WinogradPE` in
`conv_pe`, with `matrix_transform`, the four windows of a pool cell by 36 products; `pixel_feeder`
replaces the conv engine where there are no convolutions, `sparse_line_buffer` the line buffer where windows of zeros
take no cycle, `sparse_fc_engine` of `sparse_fc_row` and `sparse_fc_controller` the FC engine where activations of zero
take none; `channel_memory` replaces line buffer and map memory before 1x1 kernels, dot products over channels.
`table_lookup` is what a layer does with its codes, each by itself: ReLU, or any function as a table. `cascade` joins
two accelerators, the second of which is asked where the first one is unsure.

Package `axi`: `axi_core` puts AXI around the accelerator:

    s_axis -> axi_pixels -> accelerator -> axi_results -> m_axis
    s_axi <-> axi_lite <-> register_file -> weight_loader -> accelerator

Its registers are those of `fivebyfive.model.protocol.registers`; `vivado` makes a folder of it for Vivado.

`generate` turns a checkpoint into Verilog, .mem files and a manifest. Package `codegen`: `verilog` has Amaranth's RTLIL
edited by `rtlil` and written by `yosys`; `keywords` are the names that Verilog reserves.

Package `serial`, on a board: `uart` -> `deframer` -> `link` -> `accelerator` -> `link` -> `framer` -> `uart`, connected
by `serial_accelerator`; `boards` put that on pins, with a clock from `pll`.

Every component's docstring lists its parameters and ports, one line ``name : type, direction`` for each port, and says
when it is valid. (`tests/hw/test_docstrings.py` compares them with the code.) Conventions:

* One clock, domain ``sync``, and a synchronous reset; outputs without a stated latency change in the same cycle as
  their cause, or in the next.
* A direction is that of the component that has the port. A stream's is that of its ``payload`` and ``valid``; ``ready``
  goes the other way. A transfer is a cycle in which both are asserted. "Always ready" streams have no backpressure:
  the receiver accepts in every cycle.
* A code is a signed 8-bit Q2.6 number (`CODE`); several are `codes` in memory order, code 0 in the lowest bits.
* ``range(n)`` is the shape of numbers 0 to n - 1.
* An undefined value may differ between simulators and synthesis; nothing may depend on it.
"""
