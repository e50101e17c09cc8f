"""Log lines of a supervisor, in the form of all other logs but without a logging library.

A supervisor logs a line a day; structlog would cost it 10 MB.
"""

from __future__ import annotations

import json
import os
import sys
import time

from flowengine.plaintext import plain_text

_WARNINGS = frozenset(
    {
        "process.draining",
        "process.exited",
        "process.killed",
        "process.start_failed",
        "settings.unknown_ignored",
    }
)


class SupervisorLog:
    """Writes each event to standard error: readable text on a terminal, JSON elsewhere."""

    def __init__(self, service: str) -> None:
        self._service = service
        form = os.environ.get("FLOWENGINE_LOG_FORMAT", "auto")
        self._as_json = form == "json" or (form != "console" and not sys.stderr.isatty())

    def __call__(self, event: str, **fields: object) -> None:
        level = "warning" if event in _WARNINGS else "info"
        line = self._json(level, event, fields) if self._as_json else self._text(level, event, fields)
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def _json(self, level: str, event: str, fields: dict[str, object]) -> str:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        head = {"timestamp": stamp, "level": level, "service": self._service, "event": event}
        return json.dumps(head | fields, default=str)

    def _text(self, level: str, event: str, fields: dict[str, object]) -> str:
        values = " ".join(f"{name}={value}" for name, value in fields.items())
        return plain_text(f"{time.strftime('%H:%M:%S')} [{level}] {event} {values}")
