"""What `--json` prints."""

from __future__ import annotations

import click

from flowengine.plaintext import plain_text


def print_json(value: object) -> None:
    """Print the value, indented, with no character that would act on a terminal."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    click.echo(plain_text(text, keep_lines=True))
