"""Collects the problems of one document, up to a number that a person would read.

Problems that many nodes share have a limit of their own, because each of them takes time too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from flowengine.nearest_name import COMPARED_CHARS, nearest_name
from flowengine.workflow.problems import Problem

MAX_PROBLEMS: Final = 200
MAX_REPEATS: Final = 2000
DEFAULTS: Final = "/defaults/"
_COMPARISON_COST: Final = 100
_MAX_COMPARISON_WORK: Final = 2_000_000


class Report:
    """The problems found so far. Those past MAX_PROBLEMS are only counted."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._elsewhere: set[Problem] = set()
        self._repeats = 0
        self._left_out = 0
        self._is_cut_short = False
        self._comparison_work = _MAX_COMPARISON_WORK
        self.place_of: Callable[[str], str] = str

    def add(self, code: str, pointer: str, message: str) -> None:
        """Add a problem, or count it if the report is full.

        `place_of` says where in the document the pointer leads, if nodes hold what stands elsewhere. Such a
        problem, which many nodes may have, is told once.
        """
        if self.is_full:
            self._left_out += 1
            return
        place = self.place_of(pointer)
        problem = Problem(code=code, pointer=place, message=message)
        if problem in self._elsewhere:
            self._repeats += 1
            return
        if place != pointer or pointer.startswith(DEFAULTS):
            self._elsewhere.add(problem)
        self._problems.append(problem)

    @property
    def is_full(self) -> bool:
        """Whether further problems are only counted, so that nobody needs to word them."""
        return len(self._problems) >= MAX_PROBLEMS or self._repeats >= MAX_REPEATS

    def leave_out(self, count: int = 1, *, at_least: bool = False) -> None:
        """Count problems without words. `at_least`: there may be more, because the rest was not checked."""
        self._left_out += count
        self._is_cut_short |= at_least

    def __bool__(self) -> bool:
        return bool(self._problems)

    def problems(self) -> tuple[Problem, ...]:
        """All problems in the order found. If some were left out, the last one says how many."""
        if not self._left_out and not self._is_cut_short:
            return tuple(self._problems)
        count = f"at least {self._left_out}" if self._is_cut_short else str(self._left_out)
        message = f"and {count if self._left_out else 'perhaps'} more: fix these first"
        return (*self._problems, Problem(code="more_problems", pointer="", message=message))

    def nearest(self, word: str, known: Collection[str]) -> str | None:
        """The known name that is close to `word`, if there is one.

        None for the rest of a document that has asked too often.
        """
        if self.is_full or self._comparison_work < 0:
            return None
        length = min(len(word), COMPARED_CHARS)
        self._comparison_work -= sum(
            _COMPARISON_COST + length * min(len(name), COMPARED_CHARS) for name in known
        )
        return nearest_name(word, known) if self._comparison_work >= 0 else None
