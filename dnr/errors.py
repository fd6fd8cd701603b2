"""The one exception that users see as a sentence instead of a traceback."""


class InputError(Exception):
    """Something given from outside cannot be used.

    The message is one or two plain sentences: what is wrong, where, and what to do about it.
    Commands print it on stderr and leave with status 2.
    """
