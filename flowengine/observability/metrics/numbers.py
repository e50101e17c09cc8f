"""Numbers that a process counts up, in families as Prometheus knows them. No library, no lock, no I/O.

To count is to add to an element of a list: less than a microsecond. CPython does not change threads between
reading and writing it. The values of a label are bounded: what comes after the first so many distinct ones
counts under `other`, so that nobody's names can fill a process, or a Prometheus.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, TypeAlias

OTHER: Final = "other"
MOST_VALUES: Final = 100
"""So many distinct values of a label are counted apart."""

MOST_CHARS: Final = 100

SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800,
)  # fmt: skip
"""The upper bounds of the buckets of times."""

Labels: TypeAlias = tuple[str, ...]


class _Family:
    def __init__(self, name: str, text: str, labels: Labels) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self._known: list[set[str]] = [set() for _ in labels]

    def _bounded(self, values: Labels) -> Labels:
        """The values under which these are counted."""
        return tuple(self._admitted(known, value) for known, value in zip(self._known, values, strict=True))

    @staticmethod
    def _admitted(known: set[str], value: str) -> str:
        value = value[:MOST_CHARS]
        if value not in known:
            if len(known) >= MOST_VALUES:
                return OTHER
            known.add(value)
        return value


class Counter(_Family):
    """How often something has happened since the process began; its name ends with `_total`.

    `known`: values of its one label that are shown from the beginning. Prometheus sees no growth in what it
    meets for the first time.
    """

    def __init__(self, name: str, text: str, labels: Labels = (), known: Iterable[str] = ()) -> None:
        super().__init__(name, text, labels)
        self._cells: dict[Labels, list[int]] = {} if labels else {(): [0]}
        for value in known:
            self.add(value, by=0)

    def add(self, *values: str, by: int = 1) -> None:
        """It has happened, with these values of its labels."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells.setdefault(self._bounded(values), [0])
        cell[0] += by

    def samples(self) -> Iterator[tuple[Labels, int]]:
        """The numbers so far."""
        for values, cell in sorted(self._cells.items()):
            yield values, cell[0]

    def value(self, *values: str) -> int:
        """One of them."""
        cell = self._cells.get(values)
        return 0 if cell is None else cell[0]


class Histogram(_Family):
    """How long something took, in seconds; its name ends with `_seconds`."""

    def __init__(self, name: str, text: str, labels: Labels = ()) -> None:
        super().__init__(name, text, labels)
        self._cells: dict[Labels, list[float]] = {} if labels else {(): self._cell()}

    @staticmethod
    def _cell() -> list[float]:
        """A number for each bucket, for what is longer, and the sum."""
        return [0] * (len(SECONDS) + 2)

    def observe(self, seconds: float, *values: str) -> None:
        """It took so long, with these values of its labels."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells.setdefault(self._bounded(values), self._cell())
        cell[bisect_left(SECONDS, seconds)] += 1
        cell[-1] += seconds

    def samples(self) -> Iterator[tuple[Labels, list[int], float]]:
        """For each combination of labels: how many took at most as long as each bound says, the last one
        without a bound; and the sum."""
        for values, cell in sorted(self._cells.items()):
            yield values, [int(number) for number in accumulate(cell[:-1])], cell[-1]
