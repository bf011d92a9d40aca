"""Whole numbers of any size in as many bytes as they need: seven bits a byte, lowest first (LEB128)."""

__all__ = ["Parts", "number"]


def number(value: int) -> bytes:
    """The bytes of a number that is not negative."""
    if value < 128:
        return bytes([value])
    return bytes([value & 127 | 128]) + number(value >> 7)


class Parts:
    """Bytes that are taken from the front, never more than there are. Raises ValueError where they do not suffice."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > len(self.data) - self.place:
            raise ValueError("it ends too soon")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, limit: int) -> int:
        """The next number, at most ``limit``."""
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            shift += 7
            if value > limit:
                raise ValueError(f"a number is beyond {limit}")
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number has no end")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self.data) - self.place)

    def finish(self) -> None:
        """Nothing may be left."""
        if self.place != len(self.data):
            raise ValueError("bytes are left over")
