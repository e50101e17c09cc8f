"""Collects the problems of one document, up to a number that a person would read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from flowengine.nearest_name import COMPARED_CHARS, nearest_name
from flowengine.workflow.problems import Problem

MAX_PROBLEMS: Final = 200
_COMPARISON_COST: Final = 100
_MAX_COMPARISON_WORK: Final = 2_000_000


class Report:
    """The problems found so far. Those past MAX_PROBLEMS are only counted."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._left_out = 0
        self._is_cut_short = False
        self._comparison_work = _MAX_COMPARISON_WORK

    def add(self, code: str, pointer: str, message: str) -> None:
        """Add a problem, or count it if the report is full."""
        if self.is_full:
            self._left_out += 1
        else:
            self._problems.append(Problem(code=code, pointer=pointer, message=message))

    @property
    def is_full(self) -> bool:
        """Whether further problems are only counted, so that nobody needs to word them."""
        return len(self._problems) >= MAX_PROBLEMS

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
        if self.is_full:
            return None
        length = min(len(word), COMPARED_CHARS)
        self._comparison_work -= sum(
            _COMPARISON_COST + length * min(len(name), COMPARED_CHARS) for name in known
        )
        return nearest_name(word, known) if self._comparison_work >= 0 else None
