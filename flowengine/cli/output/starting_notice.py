"""The line `starting ...` that `flowengine run` shows until there is something else to see.

On standard error, so that it never mixes with results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Self

import click

TEXT = "starting ..."


class StartingNotice:
    """On a terminal the line is wiped out again; elsewhere it is a line like any other.

    A context manager: leaving it wipes the line. `quiet`: no line where there is no terminal.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._terminal = sys.stderr.isatty()
        self._quiet = quiet and not self._terminal
        self._shown = False
        self._say: Callable[[str], None] | None = None

    def __enter__(self) -> Self:
        if not self._quiet:
            click.echo(TEXT, err=True, nl=not self._terminal)
            self._shown = self._terminal
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def end(self) -> None:
        """Wipe the line out, if it is still there."""
        if self._shown:
            self._shown = False
            click.echo(f"\r{' ' * len(TEXT)}\r", err=True, nl=False)

    def say(self, line: str) -> None:
        """Print another line on standard error instead."""
        self.end()
        if self._say is None:
            click.echo(line, err=True)
        else:
            self._say(line)

    def say_with(self, say: Callable[[str], None] | None) -> None:
        """From now on, lines go to `say`, which draws on the same terminal. None: as before."""
        self._say = say
