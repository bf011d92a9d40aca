"""How big the hardware is, what lies in its memories, how many cycles it takes."""
