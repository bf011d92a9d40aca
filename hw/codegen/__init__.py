"""Amaranth component in, readable Verilog and .mem files out."""
