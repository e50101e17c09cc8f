"""What handlers print: as it is, without the secrets in it.

Handlers print through `sys.stdout` and `sys.stderr`, often in pieces. A secret may come in two of them, so
pieces are kept until their line ends. What goes past these two streams (their `buffer`, a program that a
handler starts, os.write) is shown as it is.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, TextIO

from flowengine.observability.node_output import current_output

_KEPT_CHARS: Final = 128 * 1024
"""A longer line is written in pieces. Half of this is kept back each time, the size of the largest secret."""


class PrintedText(io.TextIOBase):
    """Stands in the place of a text stream of this process. Threads print side by side, each whole lines."""

    def __init__(self, stream: TextIO, redact: Callable[[str], str], source: str = "stdout") -> None:
        self._stream = stream
        self._source = source
        self._redact = redact
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was begun. For a copy of the process: it lacks the thread that may hold the lock."""
        self._lock = threading.RLock()
        self._begun: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        """Everything that is not about text is the stream's own affair."""
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a variable
        """The stream's."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # typeshed has a variable
        """The stream's."""
        return self._stream.errors

    def fileno(self) -> int:
        """The stream's."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """The stream's."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Write all whole lines; the rest follows with the end of its line."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        output = current_output()
        if output is not None:
            output.printed(self._source, text)
        thread = threading.get_ident()
        with self._lock:
            lines, end, rest = (self._begun.pop(thread, "") + text).rpartition("\n")
            if len(rest) > _KEPT_CHARS:
                rest = self._redact(rest)
                lines, end, rest = f"{lines}{end}{rest[: -_KEPT_CHARS // 2]}", "", rest[-_KEPT_CHARS // 2 :]
            if rest:
                self._begun[thread] = rest
            if lines or end:
                self._stream.write(self._redact(lines + end))
        return len(text)

    def flush(self) -> None:
        """Whole lines only: the rest of a line may be the rest of a secret."""
        self._stream.flush()

    def write_rest(self) -> None:
        """Write what no line's end has followed. At the end of the process; who reads may be gone by then."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            rests, self._begun = self._begun, {}
            for rest in rests.values():
                self._stream.write(self._redact(rest))
            self._stream.flush()


def hide_in_prints(redact: Callable[[str], str]) -> None:
    """From now on, what this process prints through sys.stdout and sys.stderr passes through `redact`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:
            printed = PrintedText(stream, redact, name)
            setattr(sys, name, printed)
            atexit.register(printed.write_rest)
            os.register_at_fork(after_in_child=printed.begin_anew)
