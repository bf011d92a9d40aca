"""What a machine costs without building it: area, energy, parts."""
