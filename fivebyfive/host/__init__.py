"""The PC end of the serial line."""
