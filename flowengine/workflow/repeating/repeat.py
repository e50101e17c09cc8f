"""What a node's `repeat` says (LANGUAGE section 6). Pure data, stored with the plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

ITERATION: Final = "iteration"
PREVIOUS: Final = "previous"
"""What the templates of a node that repeats read besides the rest: the number of the iteration, from 1, and
the primary value that the iteration before has given."""

ITERATIONS: Final = "iterations"
"""The field of its output that says how many there were."""

MAX_ITERATIONS: Final = 10_000
DEFAULT_ITERATIONS: Final = 100

Templated: TypeAlias = float | str
"""A number, or a template that gives one."""


class Repeat(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often a node runs, and how long it waits between two iterations. Times are in seconds.

    `until`: the template of the condition under which the last iteration has ended. `goes_on`: where no
    iteration is left, it completes with what the last one gave; else it fails. `collects`: its result is the
    list of what all have given. No iteration begins later than `max_s` after the first. `reads_previous`: its
    templates read what the iteration before has given.
    """

    until: str
    max_iterations: Templated = DEFAULT_ITERATIONS
    delay_s: Templated = 0
    initial_delay_s: Templated = 0
    goes_on: bool = False
    collects: bool = False
    max_s: Templated | None = None
    reads_previous: bool = False

    @property
    def keeps(self) -> bool:
        """Whether something is stored of an iteration that has ended."""
        return self.collects or self.reads_previous

    def templates(self) -> Iterator[tuple[str, str]]:
        """Its templates, each with the name of its field."""
        given = (
            ("until", self.until),
            ("max_iterations", self.max_iterations),
            ("delay_seconds", self.delay_s),
            ("initial_delay_seconds", self.initial_delay_s),
            ("max_seconds", self.max_s),
        )
        return ((field, value) for field, value in given if isinstance(value, str))


AFTER_AN_ITERATION: Final = ("until", "delay_seconds")
"""The fields whose templates read what the iteration has given that has just ended, and its number."""
