"""Yosys, nextpnr, ecppack; models of vendor cells."""
