"""Simulators, cocotb benches and measurement: the Verilog runs, and is held against the golden model.

    checkpoint, images --> simulate --> builder --> commands --> simulators (Verilator, Icarus)
                              ^            |  compiled once, kept in a cache
                              |            v
          golden model <- compare      runner --> process: a bench in the simulator's own process
                              ^            |
                              |            v
                       arrays in files <- benches/network (streams, testbench, payload)

`benches` holds a bench for each component of `fivebyfive.hw` and one for the whole network; `simulate` starts
the latter and compares each image as it comes. `waves` writes a save file for the viewer, `lint` asks Verilator
what it thinks of the Verilog, `synthesis` asks Yosys what becomes of it on a device.

    network, size, part --> explore --> measure --> workers: processes here, or a Dask cluster
                                                       |
                                                       v
                          synthesis, harness, nextpnr <- units --> cache (results, by content)

`axi` puts bus models of cocotbext-axi around the AXI core; `axi_device` is that core, simulated, for
`fivebyfive.driver`.

`measure` and `explore` cut the work into `units`, one synthesis or one place and route each. `compare` has `trials`
beside them: one evaluation or one simulation of a checkpoint; `training` is a compression with one seed. `carried`
takes checkpoints and data sets along to where that is done. `fit_area` fits the area model of
`fivebyfive.model.estimates.area` to what was synthesized.
"""
