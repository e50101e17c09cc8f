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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

FATAL_EXIT = 78
"""Exit code of a child that would fail again if it were started again (sysexits.h: EX_CONFIG)."""

ENDS_AFTER_GRACE_S = 1.8
"""So long after the grace a process that stops has ended, whatever its handlers and the server do.

The supervisor waits for three seconds.
"""

LEAST_END_S = 0.2
"""So long threads that are left, and what is called at the end of a program, may take in any case."""

ORPHAN_GRACE_S = 5.0
"""How long a process may go on after its supervisor is gone, in seconds."""


class Stop(threading.Event):
    """Set when a process is to end; `set_at` is when that was, in seconds of the monotonic clock."""

    set_at = 0.0

    def set(self) -> None:
        """Let it end."""
        self.set_at = self.set_at or time.monotonic()
        super().set()


def stop_on_signal(lifeline: int) -> Stop:
    """An event that SIGTERM, or the end of the supervisor, sets. Call it once, from the main thread.

    `lifeline` is what `take_lifeline` returned.

    A thread sets the event. If the signal handler did, it could deadlock with a main thread that is just
    entering `wait`. SIGINT is ignored: the supervisor gets it and decides.
    """
    stop = Stop()
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


def end_within(seconds: float, exit_code: int) -> None:
    """End this process in so many seconds, unless it has ended by itself.

    Python waits for threads of its own pools, which may be at whatever a handler has given them.
    """

    def end() -> None:
        time.sleep(max(LEAST_END_S, seconds))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(exit_code)

    threading.Thread(target=end, name="end", daemon=True).start()


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
