"""The accelerator behind AXI4-Stream and AXI4-Lite, packaged for Vivado."""
