"""Lists of the tool: a table on a terminal, lines parted by tabs elsewhere, JSON by `--json`.

What stands in them comes from documents, handlers and servers: it reaches the terminal as plain text only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from flowengine.plaintext import plain_text

STATUS = "status"


def print_json_line(value: object) -> None:
    """The value as one line of JSON."""
    import msgspec

    click.echo(plain_text(msgspec.json.encode(value).decode()))


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def shown_time(moment: str) -> str:
    """A time as a table shows it, in UTC; elsewhere as the API gives it."""
    return moment[:19].replace("T", " ") if is_terminal() else moment


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str) -> None:
    """Rows under their headings. Elsewhere than on a terminal the headings are left out. `nothing`: what to
    say, on standard error, where there are no rows."""
    found = [[plain_text(cell) for cell in row] for row in rows]
    if not found:
        click.echo(nothing, err=True)
    elif is_terminal():
        _print_table(headings, found)
    else:
        for row in found:
            click.echo("\t".join(row))


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flowengine.cli.output.console import OutputConsole
    from flowengine.cli.output.progress import STYLES

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0 or heading == STATUS, overflow="fold")
    styles: dict[str, str] = {str(status): style for status, style in STYLES.items()}
    for row in rows:
        table.add_row(
            *(
                Text(cell, styles.get(cell, "") if heading == STATUS else "")
                for heading, cell in zip(headings, row, strict=True)
            )
        )
    OutputConsole().print(table)
