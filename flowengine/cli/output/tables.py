"""Lists of the tool: a table on a terminal, lines parted by tabs elsewhere, JSON by `--json`.

What stands in them comes from documents, handlers and servers: it reaches the terminal as plain text only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click

from flowengine.plaintext import plain_text

STATUS = "status"
NARROWEST: Final = 10
"""To so many characters a column is folded."""
GAP: Final = 2
"""Between columns, and what the edges take."""

_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def print_json_line(value: object) -> None:
    """The value as one line of JSON."""
    import msgspec

    click.echo(plain_text(msgspec.json.encode(value).decode()))


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def shown_time(moment: str) -> str:
    """A time as a table shows it, in UTC, with the year if it is another; elsewhere as the API gives it."""
    if not moment or not is_terminal():
        return moment
    from datetime import UTC, datetime

    at = datetime.fromisoformat(moment).astimezone(UTC)
    year = "" if at.year == datetime.now(UTC).year else f"{at.year} "
    return f"{year}{_MONTHS[at.month - 1]} {at.day:02} {at:%H:%M}"


def shown_age(moment: str) -> str:
    """How long ago a time was, as a table shows it; elsewhere the time as the API gives it."""
    if not is_terminal():
        return moment
    from flowengine.cli.output.progress import elapsed

    return f"{elapsed(moment, None)} ago"


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
    from rich.cells import cell_len

    from flowengine.cli.output.console import OutputConsole

    console = OutputConsole()
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    folded = folded_columns(widths, console.width)
    if folded is None:
        _print_records(headings, rows)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flowengine.cli.output.progress import STYLES

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place not in folded, overflow="fold")
    styles: dict[str, str] = {str(status): style for status, style in STYLES.items()}
    for row in rows:
        table.add_row(
            *(
                Text(cell, styles.get(cell, "") if heading == STATUS else "")
                for heading, cell in zip(headings, row, strict=True)
            )
        )
    console.print(table)


def folded_columns(widths: Sequence[int], available: int) -> frozenset[int] | None:
    """Which columns of these widths are folded so that the table fits: the widest ones, never the first.
    None: even then it does not."""
    folded: set[int] = set()
    while sum(widths) - sum(widths[place] - NARROWEST for place in folded) + GAP * len(widths) > available:
        left = [place for place in range(1, len(widths)) if place not in folded and widths[place] > NARROWEST]
        if not left:
            return None
        folded.add(max(left, key=lambda place: widths[place]))
    return frozenset(folded)


def _print_records(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row as lines of its own, for a terminal on which the table has no place."""
    width = max(map(len, headings))
    for number, row in enumerate(rows):
        if number:
            click.echo()
        for heading, cell in zip(headings, row, strict=True):
            if cell:
                click.echo(f"{heading:<{width}}  {cell}")
