"""The log: what nobody needs to know while all is well, such as an entry of the cache that was damaged and made again.

It is Python's logger ``fivebyfive``. Programs that use this package see it as they set up `logging`; that of the
command line and of the processes that it starts goes to the file that the environment variable ``FIVEBYFIVE_LOG``
names.
"""

import logging
import os

from .errors import UserError

__all__ = ["LOG_VARIABLE", "log", "log_to_file"]

LOG_VARIABLE = "FIVEBYFIVE_LOG"
FORMAT = "%(asctime)s %(process)d %(levelname)s %(message)s"

log = logging.getLogger("fivebyfive")


def log_to_file() -> None:
    """Append the log to the file that the environment names, if it does. Raises UserError where that cannot be
    written."""
    path = os.environ.get(LOG_VARIABLE)
    if not path or any(isinstance(handler, logging.FileHandler) for handler in log.handlers):
        return
    try:
        handler = logging.FileHandler(path)
    except OSError as error:
        raise UserError(f"cannot write the log {path}: {error.strerror}; set {LOG_VARIABLE} to another file") from error
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
