"""Gathers the problems of one document: all of them, up to a number that a person would read."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from flowengine.workflow.problems import Problem

MAX_PROBLEMS: Final = 200
MAX_QUOTED_CHARS: Final = 60
_MAX_COMPARISONS: Final = 10_000
_COMPARED_CHARS: Final = 64
_LIKELY: Final = 0.6


class Report:
    """The problems found so far. Past MAX_PROBLEMS they are only counted."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._left_out = 0
        self._comparisons = _MAX_COMPARISONS

    def add(self, code: str, pointer: str, message: str) -> None:
        """One more problem."""
        if self.is_full:
            self._left_out += 1
        else:
            self._problems.append(Problem(code=code, pointer=pointer, message=message))

    @property
    def is_full(self) -> bool:
        """Whether further problems are only counted: no need to word them."""
        return len(self._problems) >= MAX_PROBLEMS

    def leave_out(self, count: int = 1) -> None:
        """So many more problems, not worded."""
        self._left_out += count

    def __bool__(self) -> bool:
        return bool(self._problems)

    def problems(self) -> tuple[Problem, ...]:
        """All problems in the order found; the last says how many were left out, if any were."""
        if not self._left_out:
            return tuple(self._problems)
        message = f"and {self._left_out} more: mend these first"
        return (*self._problems, Problem(code="more_problems", pointer="", message=message))

    def nearest(self, word: str, known: Collection[str], *, always: bool = False) -> str | None:
        """The known name most like `word`: one that is likely meant or, with `always`, any.

        None as well once the document has asked too often: comparing is slow.
        """
        self._comparisons -= len(known)
        if self._comparisons < 0 or self.is_full:
            return None
        names = {name[:_COMPARED_CHARS]: name for name in known}
        cutoff = 0.0 if always else _LIKELY
        found = get_close_matches(word[:_COMPARED_CHARS], names, n=1, cutoff=cutoff)
        return names[found[0]] if found else None


def quoted(text: str) -> str:
    """The text as messages show it: quoted, control characters escaped, never long."""
    return repr(text if len(text) <= MAX_QUOTED_CHARS else text[:MAX_QUOTED_CHARS] + "...")


def did_you_mean(name: str | None) -> str:
    """The end of a message that names the nearest known name, if there is one."""
    return "" if name is None else f"; did you mean '{name}'?"
