"""The line that says why a command could not do its work."""

from __future__ import annotations

import click

from flowengine.cli.output.streams import styles_wanted
from flowengine.plaintext import plain_text


def show_error(message: str) -> None:
    """Print it on standard error; a traceback would hide it."""
    label = click.style("error:", fg="red", bold=True) if styles_wanted() else "error:"
    click.echo(f"{label} {plain_text(message, keep_lines=True)}", err=True)
