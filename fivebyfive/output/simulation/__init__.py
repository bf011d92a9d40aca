"""How a simulation is shown to a person."""
