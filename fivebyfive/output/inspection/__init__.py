"""What inspect shows of a float network: the table, the picture, the plot of its ranges."""
