"""Simulators, cocotb benches and measurement: the Verilog runs, and is held against the golden model.

    checkpoint, images --> simulate --> builder --> commands --> simulators (Verilator, Icarus)
                              ^            |  compiled once, kept in a cache
                              |            v
          golden model <- compare      runner --> process: a bench in the simulator's own process
                              ^            |
                              |            v
                       arrays in files <- benches/network (streams, testbench, payload)

Room `benches` holds a bench for each component of `fivebyfive.hw` and one for the whole network, `benchlib` what they
share; `simulate` starts the latter and compares each image as it comes. Room `simulator` builds and runs: `waves`
writes a save file for the viewer, `lint` runs Verilator's checks. Room `fpga`: `synthesis` asks Yosys what becomes of
the Verilog on a device.

    network, size, part --> explore --> measure --> workers: processes here, or a Dask cluster
                                                       |
                                                       v
                          synthesis, harness, nextpnr <- jobs --> cache (results, by content)

Room `session`: a simulator that stays running, with a main program in C++ instead of cocotb: one image after the other,
with the values of layers as they come out and the changes of signals. `fivebyfive studio` shows them.

Room `devices`: a simulated board, and the simulated AXI core for `fivebyfive.driver`; bus models of cocotbext-axi are
in `benchlib`.

Room `jobs`: `measure` and `explore` cut the work into `measurement_jobs`, one synthesis or one place and route each;
`compare` into `compare_jobs`, one evaluation or one simulation of a checkpoint; a `training_job` is a compression with
one seed. `transport` sends checkpoints and data sets to where that is done. `fit_area` fits the area model of
`fivebyfive.model.estimates.area` to what was synthesized.

Room `quality`: whether a bench would notice a fault: mutants, equivalence proofs, coverage.
"""
