"""What hardware and host agree on: AXI registers, serial frames."""
