"""The one exception a user's mistake becomes."""


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one line: what is wrong, then what to do. The command line prints it without a traceback
    and exits with code 2.
    """
