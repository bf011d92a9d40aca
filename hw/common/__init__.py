"""What both engines are made of: codes, delays, weight memories, tables, a pixel frame."""
