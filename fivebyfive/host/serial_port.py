"""A serial port of this machine as a `fivebyfive.host.board.Port`, by pyserial."""

import serial

from fivebyfive.support.errors import UserError

__all__ = ["BAUD", "SerialPort"]

BAUD = 1_000_000  # of the boards that `fivebyfive build` makes
WRITE_S = 10.0  # for what is written to go


class SerialPort:
    """An open port, to be used as a context manager. Raises UserError where there is no such port, or it is in use."""

    def __init__(self, name: str, baud: int = BAUD):
        try:
            self.serial = serial.Serial(name, baud, timeout=0, write_timeout=WRITE_S, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"cannot open port {name}: {reason}; name the board's, such as /dev/ttyUSB0") from error

    def write(self, data: bytes) -> None:
        self.serial.write(data)

    def read(self, timeout_s: float) -> bytes:
        self.serial.timeout = max(timeout_s, 0)
        data = self.serial.read(1)
        return data + self.serial.read(self.serial.in_waiting) if data else data

    def __enter__(self) -> "SerialPort":
        return self

    def __exit__(self, *_: object) -> None:
        self.serial.close()
