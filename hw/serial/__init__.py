"""The accelerator behind a UART on a board."""
