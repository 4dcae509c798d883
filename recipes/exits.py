"""Exit statuses of the programs that do a stage: how it ended, told to the job or the shell that started them.

Those above 2 are sysexits.h's nearest words. What a status cannot tell (a signal, memory that the kernel took) is read from logs.
"""

import errno
import sys

DONE = 0
FAILED = 1
MISTAKE = 2  # in the recipe or its inputs
BAD_DATA = 65  # more could not be read than the page allows
DIVERGED = 70  # the loss or the gradient is no number any more
OUT_OF_MEMORY = 71  # of the host or the device, as the program itself saw it
NO_ROOM = 73  # the disk is full
INTERRUPTED = 75  # by a signal, with a checkpoint saved: the same command goes on from there

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def of_mistake(error: ValueError) -> int:
    """The status of what a program was given wrong, which it says."""
    print(f"error: {error}", file=sys.stderr)
    return MISTAKE


def of_error(error: BaseException) -> int:
    """The status of what nothing caught: the machine's limits have one of their own. torch's error is known by its name: floors
    without torch ask too."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OUT_OF_MEMORY
    return NO_ROOM if isinstance(error, OSError) and error.errno in _NO_ROOM else FAILED
