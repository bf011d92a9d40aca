"""A simulated board and a simulated AXI device, as the host sees them."""
