"""A word while `flowengine run` is still starting, gone once there is something to see.

Standard error only: what is printed there never mixes with results.
"""

from __future__ import annotations

import sys
from typing import Self

import click

TEXT = "starting ..."


class StartingNotice:
    """On a terminal a line that is wiped out again; elsewhere a line like any other.

    A context manager: whatever ends the start wipes it. `quiet`: nothing where nobody watches.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._terminal = sys.stderr.isatty()
        self._quiet = quiet and not self._terminal
        self._shown = False

    def __enter__(self) -> Self:
        if not self._quiet:
            click.echo(TEXT, err=True, nl=not self._terminal)
            self._shown = self._terminal
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def end(self) -> None:
        """Wipe it out, if it is still there."""
        if self._shown:
            self._shown = False
            click.echo(f"\r{' ' * len(TEXT)}\r", err=True, nl=False)

    def say(self, line: str) -> None:
        """A line on standard error, after wiping."""
        self.end()
        click.echo(line, err=True)
