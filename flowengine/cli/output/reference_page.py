"""A topic of the reference on a terminal: Markdown whose tables keep names whole.

rich cuts a word that is wider than its column. Here a column is at least as wide as its longest word, as
far as the terminal allows, because the name of a setting that is cut short is of no use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

WIDEST: Final = 110
"""Columns of text that are still easy to read."""

_GAP: Final = 2
_LONGEST_WORD: Final = 10
"""Columns but the first break longer words."""

_THEME: Final = Theme({"markdown.code": "bold cyan", "markdown.h1": "bold"})


class _WholeNamesTable(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header = self.header.row.cells if self.header and self.header.row else []
        rows = [[cell.content for cell in row.cells] for row in (self.body.rows if self.body else [])]
        columns = [
            [cell.content, *(row[place] for row in rows if place < len(row))]
            for place, cell in enumerate(header)
        ]
        widths = _widths(columns, options.max_width - _GAP * len(columns))
        table = Table(
            box=box.SIMPLE, pad_edge=False, padding=(0, _GAP - 1, 0, 0), style="markdown.table.border"
        )
        for cell, width in zip(header, widths, strict=True):
            table.add_column(cell.content, width=width, overflow="fold")
        for row in rows:
            table.add_row(*row)
        yield table


def _widths(columns: Sequence[Sequence[Text]], available: int) -> list[int | None]:
    """Columns' widths: what each needs if that fits, else its longest word and a share of what is left."""
    needed = [max(cell.cell_len for cell in column) for column in columns]
    words = [max(map(len, " ".join(cell.plain for cell in column).split()), default=1) for column in columns]
    least = [word if place == 0 else min(word, _LONGEST_WORD) for place, word in enumerate(words)]
    spare = available - sum(least)
    if sum(needed) <= available or spare < 0:
        return [None for _ in columns]
    wanted = sum(needed) - sum(least)
    return [low + spare * (high - low) // wanted for low, high in zip(least, needed, strict=True)]


class _Page(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "table_open": _WholeNamesTable,
    }


def print_page(console: Console, text: str) -> None:
    """Print Markdown, no wider than is easy to read."""
    page = _Page(text, hyperlinks=False, code_theme="ansi_dark")
    with console.use_theme(_THEME):
        console.print(page, width=min(console.width, WIDEST))
