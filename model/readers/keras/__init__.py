"""Networks as Keras stores them."""
