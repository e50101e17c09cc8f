"""Filters that search text with regular expressions of RE2."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import only_text
from flowengine.template.functions.patterns import Match, Pattern, pattern_of
from flowengine.template.json_values import type_name

_REFERENCE: Final = re.compile(r"\\(?:(\d{1,2})|g<(\w{1,64})>|(.?))", re.DOTALL)


def regex_search(budget: Budget, value: object, pattern: object) -> str | None:
    """The first match; null where there is none."""
    text = only_text(budget, "regex_search", value)
    found = pattern_of(budget, "regex_search", pattern).search(budget, text)
    return None if found is None else str(found.group())


def regex_findall(budget: Budget, value: object, pattern: object) -> list[object]:
    """Every match: its text, the text of its group if the pattern has one, or the list of its groups."""
    text = only_text(budget, "regex_findall", value)
    looked_for = pattern_of(budget, "regex_findall", pattern)
    found: list[object] = []
    for match in looked_for.all(budget, text):
        groups = match.groups("")
        budget.spend_work(len(match.group()) + sum(len(group or "") for group in groups))
        found.append(match.group() if not groups else groups[0] if len(groups) == 1 else list(groups))
    return found


def regex_replace(budget: Budget, value: object, pattern: object, by: object) -> str:
    r"""With `by` in place of each match. In it `\1` and `\g<name>` are groups, `\\` is a backslash."""
    text = only_text(budget, "regex_replace", value)
    looked_for = pattern_of(budget, "regex_replace", pattern)
    if not isinstance(by, str):
        raise TemplateEvaluationError(f"'regex_replace' takes a replacement as text, not {type_name(by)}")
    parts = _parts(looked_for, by)
    pieces: list[str] = []
    end = 0
    for match in looked_for.all(budget, text):
        pieces.append(text[end : match.start()])
        for part in parts:
            piece = part(match)
            budget.spend_work(len(piece) + 1)
            pieces.append(piece)
        end = match.end()
    pieces.append(text[end:])
    return "".join(pieces)


def _parts(pattern: Pattern, by: str) -> list[Callable[[Match], str]]:
    """What the replacement is made of. Raises TemplateEvaluationError for a group that there is not."""
    parts: list[Callable[[Match], str]] = []
    end = 0
    for found in _REFERENCE.finditer(by):
        if found.start() > end:
            parts.append(_fixed(by[end : found.start()]))
        parts.append(_referred(pattern, found))
        end = found.end()
    if end < len(by):
        parts.append(_fixed(by[end:]))
    return parts


def _referred(pattern: Pattern, found: re.Match[str]) -> Callable[[Match], str]:
    if found[3] is not None:
        if found[3] != "\\":
            raise TemplateEvaluationError(
                r"'regex_replace': in the replacement \1 and \g<name> are groups, and \\ is a backslash"
            )
        return _fixed("\\")
    number = int(found[1]) if found[1] else pattern.names.get(found[2])
    if number is None or number > pattern.groups:
        raise TemplateEvaluationError(
            "'regex_replace': the pattern has no such group as the replacement names"
        )
    return lambda match: match.group(number) or ""


def _fixed(text: str) -> Callable[[Match], str]:
    return lambda match: text
