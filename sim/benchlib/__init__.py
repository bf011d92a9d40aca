"""Used inside the simulator by every bench: clock, stream and AXI drivers, random networks."""
