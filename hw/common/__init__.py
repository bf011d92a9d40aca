"""What both engines are made of: codes, delays, products, weight memories, a pixel frame."""
