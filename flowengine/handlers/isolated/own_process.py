"""What a child process does for itself before it imports anything large: when to end, and when to be killed.

Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_SOONER_KILLED: Final = b"500"


def take_socket() -> socket.socket:
    """The socket to the worker, which is standard input. Leaves an empty one, so that no handler reads it."""
    ours = socket.socket(fileno=os.dup(0))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return ours


def end_with(worker: int) -> None:
    """End when the worker's process does, also while a handler lets no other thread run.

    Linux only; elsewhere the end of the socket has to do.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != worker:  # it has died before it was asked for
            os._exit(0)


def be_killed_first() -> None:
    """Where memory is short, let the system kill this process and not the worker, if it can be told so."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        try:
            os.write(descriptor, _SOONER_KILLED)
        finally:
            os.close(descriptor)
