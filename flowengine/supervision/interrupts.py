"""Signals as something that a single-threaded loop can wait for, and nothing about what they mean.

The first SIGINT, SIGTERM or SIGHUP is remembered and wakes the loop: no exception interrupts code
that is starting a process. Standard library only (see `supervision.supervisor`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Self

REPEAT_S = 0.5
"""A signal this soon after the first is the same Ctrl-C, which a parent (uv, just) passes on."""

_ASKS_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Catches the signals that ask to end, and SIGCHLD, while entered (in the main thread).

    `wakeup` is a file descriptor that each signal makes readable. `first` is the first signal that asked
    to end, `count` how many did. With `insist`, the second one raises KeyboardInterrupt at once, for
    callers that may be stuck in a call that does not watch `wakeup`.
    """

    def __init__(self, *, insist: bool = False) -> None:
        self.first: int | None = None
        self.count = 0
        self.insist = insist
        self.wakeup = -1
        self._at_once = False
        self._first_at = 0.0
        self._write_end = -1
        self._previous: list[tuple[int, object]] = []
        self._previous_wakeup = -1

    def __enter__(self) -> Self:
        self.wakeup, self._write_end = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._write_end, False)
        self._previous_wakeup = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in _ASKS_TO_END:
            self._previous.append((number, signal.signal(number, self._on_signal)))
        self._previous.append((signal.SIGCHLD, signal.signal(signal.SIGCHLD, _ignore)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.set_wakeup_fd(self._previous_wakeup, warn_on_full_buffer=False)
        for number, handler in self._previous:
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned
        self._previous.clear()
        os.close(self.wakeup)
        os.close(self._write_end)

    def drain(self) -> None:
        """Make `wakeup` unreadable until the next signal."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.wakeup, 512):
                pass

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, the first signal raises KeyboardInterrupt: for code that may be cut off anywhere."""
        self._at_once = True
        try:
            if self.first is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False

    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended: 130 for Ctrl-C."""
        return 128 + (self.first or signal.SIGINT)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first, self._first_at, self.count = number, now, 1
            if self._at_once:
                raise KeyboardInterrupt
        elif now - self._first_at > REPEAT_S:
            self.count += 1
            if self.insist:
                raise KeyboardInterrupt


def _ignore(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing: without one, SIGCHLD does not reach the wakeup descriptor."""
