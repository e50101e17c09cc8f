"""What a person reads of failed tests: expected and actual side by side, and the calls behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from flowengine.jsonvalue import JsonValue, encode
from flowengine.testing.judging.difference import Difference
from flowengine.testing.running.finished_run import Run

MOST_SHOWN: Final = 20
"""So many differences of a test are shown."""
_WIDEST: Final = 38
"""A wider value stands below its place, not beside it."""
_MOST_CHARS: Final = 2000


def lines_of(differences: Sequence[Difference], run: Run) -> Iterator[str]:
    """The differences of one test, and how the nodes were called that they are of."""
    shown = list(differences[:MOST_SHOWN])
    narrow = [each for each in shown if max(map(len, _cells(each))) <= _WIDEST]
    widths = [max((len(cells[at]) for cells in map(_cells, narrow)), default=0) for at in range(2)]
    if narrow:
        widths = [max(width, len(name)) for width, name in zip(widths, ("", "expected"), strict=True)]
        yield f"  {'':<{widths[0]}}  {'expected':<{widths[1]}}  actual"
    for each in shown:
        place, expected, actual = _cells(each)
        if each in narrow:
            yield f"  {place:<{widths[0]}}  {expected:<{widths[1]}}  {actual}"
        else:
            yield from (f"  {place}", f"      expected  {expected}", f"      actual    {actual}")
    if len(differences) > len(shown):
        yield f"  and {len(differences) - len(shown)} more"
    yield from _calls(shown, run)


def _cells(difference: Difference) -> tuple[str, str, str]:
    return difference.place, in_words(difference.expected), in_words(difference.actual)


def in_words(value: JsonValue) -> str:
    """A value in one line: texts as they are, all else as JSON."""
    text = value if isinstance(value, str) else encode(value).decode()
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}..."


def _calls(differences: Sequence[Difference], run: Run) -> Iterator[str]:
    """The last rendered config of each node of which something is not as expected."""
    for node in dict.fromkeys(each.node for each in differences if each.node is not None):
        calls = run.calls_of(node)
        if calls:
            last = calls[-1]
            of_item = "" if last.item is None else f", item {last.item}"
            yield f"  {node} was called with (call {last.number} of {len(calls)}{of_item}):"
            yield f"      {in_words(last.config)}"
