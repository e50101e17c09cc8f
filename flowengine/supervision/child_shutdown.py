"""The child's side of supervision: when to end, told by SIGTERM or by the supervisor's death.

Standard input is a socket that the supervisor holds open: the lifeline. Its end of file is the only sign
of a parent killed by SIGKILL that works on every system. Over it a child says that it drains.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

FATAL_EXIT = 78
"""Exit code of a child that would fail again if it were started again (sysexits.h: EX_CONFIG)."""

LEFT_THREADS_S = 0.1
"""How long threads may end that are left when everything else has ended."""

ORPHAN_GRACE_S = 5.0
"""How long a process may go on after its supervisor is gone, in seconds."""


def stop_on_signal(lifeline: int) -> threading.Event:
    """An event that SIGTERM, or the end of the supervisor, sets. Call it once, from the main thread.

    `lifeline` is what `take_lifeline` returned.

    A thread sets the event. If the signal handler did, it could deadlock with a main thread that is just
    entering `wait`. SIGINT is ignored: the supervisor gets it and decides.
    """
    stop = threading.Event()
    wakeup, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _wake)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _start(lambda: _watch(lifeline, wakeup, stop))
    return stop


def end_with_supervisor() -> None:
    """Send this process SIGTERM when the supervisor is gone: for a program that handles SIGTERM itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifeline = take_lifeline()

    def watch() -> None:
        _wait_for_end_of_file(lifeline)
        os.kill(os.getpid(), signal.SIGTERM)
        _exit_after_grace()

    _start(watch)


DRAINING = b"draining "
"""What a line of a child begins with that drains; the seconds that it may take at most follow."""


def announce_draining(lifeline: int, within_s: float) -> None:
    """Tell the supervisor that this process takes no new work and ends by itself, within so many seconds.

    The supervisor starts another at once. Without one, nobody is told.
    """
    if stat.S_ISSOCK(os.fstat(lifeline).st_mode):
        with contextlib.suppress(OSError):
            os.write(lifeline, b"%s%.1f\n" % (DRAINING, max(0.0, within_s)))


def leave_threads_behind(exit_code: int) -> None:
    """End this process at once if threads are left for which Python would wait: a handler's own, for example.

    Returns if there are none. Call it last.
    """
    until = time.monotonic() + LEFT_THREADS_S
    own = threading.current_thread()
    left = [thread for thread in threading.enumerate() if thread is not own and not thread.daemon]
    for thread in left:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in left):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(exit_code)


def take_lifeline() -> int:
    """Return a descriptor of the lifeline, and leave an empty standard input, so that no handler reads it."""
    lifeline = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return lifeline


def _watch(lifeline: int, wakeup: int, stop: threading.Event) -> None:
    while True:
        ready, _, _ = select.select([lifeline, wakeup], [], [])
        if wakeup in ready and signal.SIGTERM in os.read(wakeup, 512):
            stop.set()
        if lifeline in ready and not _hears(lifeline):
            stop.set()
            _exit_after_grace()


def _wait_for_end_of_file(lifeline: int) -> None:
    while _hears(lifeline):
        pass


def _hears(lifeline: int) -> bool:
    """Whether the supervisor is still there. Waits until something is to be read."""
    try:
        return bool(os.read(lifeline, 512))
    except ConnectionResetError:  # it was killed before it read what this process had to say
        return False


def _exit_after_grace() -> None:
    threading.Event().wait(ORPHAN_GRACE_S)
    os._exit(1)


def _start(function: Callable[[], None]) -> None:
    threading.Thread(target=function, name="lifeline", daemon=True).start()


def _wake(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing: Python has written a byte to the wakeup pipe by then."""
