"""Build and run Verilator or Icarus with cocotb; cache, processes, lint, waves."""
