"""Delays that keep flags beside the data they belong to."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["delay"]


def delay(m: Module, value: Value, cycles: int, *, name: str) -> Value:
    """``value`` as it was ``cycles`` clock cycles ago; zero for the first cycles after reset."""
    value = Value.cast(value)
    for stage in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{stage + 1}")
        m.d.sync += register.eq(value)
        value = register
    return value
