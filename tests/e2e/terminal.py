"""The `flowengine` command on a terminal of its own, as a person sees it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import Self

from tests.support.rigs.stack_processes import clean_environment
from tests.support.waiting import wait_until

ROWS, COLUMNS = 24, 80

_CONTROLLING = 'exec "$@" <"$0"'
"""A session without a terminal gets the one that its leader opens."""


class Terminal:
    """One command in a folder, on a pseudo-terminal (pty(7)) that it controls."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._ours = ours
        self._received = bytearray()
        self.process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                _CONTROLLING,
                os.ttyname(theirs),
                sys.executable,
                "-m",
                "flowengine",
                *arguments,
            ],
            cwd=folder,
            env=clean_environment(**{"TERM": "xterm-256color", "TMPDIR": str(folder), **settings}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        """Everything that was written to the terminal, control sequences included."""
        return self._received.decode(errors="replace")

    def await_text(self, text: str, *, within_s: float = 60.0) -> None:
        """Return once it shows `text`."""
        wait_until(
            lambda: text in self.shown or self.process.poll() is not None,
            within_s=within_s,
            what=f"showing {text!r}",
        )
        assert text in self.shown, self.shown

    def press_ctrl_c(self) -> None:
        """Send the key. The terminal's driver turns it into a signal."""
        os.write(self._ours, b"\x03")

    def wait(self, within_s: float = 60.0) -> int:
        """The exit code, once everything that it has written is here."""
        code = self.process.wait(within_s)
        self._reader.join(within_s)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(20)
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65536)
            except OSError as error:
                # Linux raises EIO here once the last writer has gone.
                if error.errno != errno.EIO:
                    raise
                return
            if not chunk:
                return
            self._received += chunk
