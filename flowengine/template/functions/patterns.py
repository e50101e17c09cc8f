"""Regular expressions in templates, matched by RE2: in time that grows with the text, never with its square.

RE2's pattern language has no look-around and no references back to a group; that is what makes it linear. A
match may still take a step for each position of the pattern, at each character: `(a|b)*a(a|b){100}` takes a
thousand times as long as `a+b`. So a pattern pays for a text by its positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Protocol

from flowengine.plaintext import plain_text
from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.json_values import type_name

MAX_PATTERN_CHARS: Final = 500
MAX_MEMORY_BYTES: Final = 256 * 1024
"""What RE2 may take for one pattern. It refuses one that needs more, after two milliseconds at most."""

MAX_REASON_CHARS: Final = 60
COMPILE_COST: Final = 200
MATCH_COST: Final = 500
STEPS_A_CHARACTER: Final = 4

_CLASS: Final = re.compile(
    r"\\[pP](?:\{[^}]*\}|.)|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*+\]|(?P<kept>\\.)|\.", re.DOTALL
)
"""What matches one of several characters, which RE2 may spell out in a thousand instructions; and escapes."""


class Match(Protocol):
    """One match, as `re` has it."""

    def group(self, *groups: int | str) -> Any: ...
    def groups(self, default: str | None = None) -> tuple[str | None, ...]: ...
    def start(self) -> int: ...
    def end(self) -> int: ...


class PatternError(ValueError):
    """The pattern is not of RE2's language; the message says why and may quote the pattern."""


class Pattern:
    """A compiled pattern that pays for each text that it looks into."""

    def __init__(self, pattern: str) -> None:
        self._compiled = _compile(pattern)
        self._cost = 1 + _positions(pattern, self._compiled) // STEPS_A_CHARACTER
        self.groups: int = self._compiled.groups
        self.names: dict[str, int] = self._compiled.groupindex

    def search(self, budget: Budget, text: str) -> Match | None:
        """The first match."""
        self._pay(budget, text)
        found: Match | None = self._compiled.search(text)
        return found

    def all(self, budget: Budget, text: str) -> Iterator[Match]:
        """Every match that does not overlap one before it."""
        self._pay(budget, text)
        for match in self._compiled.finditer(text):
            budget.spend_work(MATCH_COST)
            yield match

    def _pay(self, budget: Budget, text: str) -> None:
        length = len(text) if text.isascii() else len(text.encode())
        budget.spend_work(self._cost * length + MATCH_COST)


def pattern_of(budget: Budget, name: str, pattern: object) -> Pattern:
    """The compiled pattern. `name` is that of the filter or test."""
    if not isinstance(pattern, str):
        raise TemplateEvaluationError(
            f"'{name}' takes a regular expression as text, not {type_name(pattern)}"
        )
    budget.spend_work(COMPILE_COST * min(len(pattern), MAX_PATTERN_CHARS))
    try:
        return compiled(pattern)
    except PatternError as error:
        # What it says may quote the pattern, which may be data.
        raise TemplateEvaluationError(f"'{name}' takes a regular expression of RE2, this is none") from error


@lru_cache(64)
def compiled(pattern: str) -> Pattern:
    """The compiled pattern. Raises PatternError."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise PatternError(f"it has {len(pattern)} characters, at most {MAX_PATTERN_CHARS} are allowed")
    return Pattern(pattern)


def _compile(pattern: str) -> Any:
    # Imported at the first pattern: most processes never see one, and it takes 3 MB.
    import re2

    options = re2.Options()
    options.max_mem = MAX_MEMORY_BYTES
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except UnicodeError as error:
        raise PatternError("it holds half a character") from error
    except re2.error as error:
        given = error.args[0] if error.args else b""
        reason = given.decode(errors="replace") if isinstance(given, bytes) else str(given)
        raise PatternError(plain_text(reason[:MAX_REASON_CHARS])) from error


def _positions(pattern: str, compiled: Any) -> int:
    """How many places of the pattern a match may be in at a time. A class of characters is one place."""
    try:
        plain = _compile(_CLASS.sub(lambda found: found["kept"] or "a", pattern))
    except PatternError:
        plain = compiled
    return min(int(plain.programsize), int(compiled.programsize))
