"""Sorts problems into the order in which a reader of the document meets their places. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.problems import Problem

_LAST: Final = "more_problems"


def in_document_order(problems: Iterable[Problem], document: JsonValue) -> tuple[Problem, ...]:
    """The problems by what their pointers name. What is missing comes after the fields that are there."""
    places = _Places()
    return tuple(
        sorted(problems, key=lambda problem: (problem.code == _LAST, places.of(problem.pointer, document)))
    )


def by_line(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems by line and column. Where one of them has no line, they stay in the given order."""
    given = tuple(problems)
    if any(problem.line is None and problem.code != _LAST for problem in given):
        return given
    return tuple(
        sorted(given, key=lambda problem: (problem.code == _LAST, problem.line or 0, problem.column or 0))
    )


class _Places:
    """Where keys stand in their objects. Kept, because finding one key's place reads the whole object."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, int]] = {}

    def of(self, pointer: str, document: JsonValue) -> tuple[int, ...]:
        place: list[int] = []
        value: JsonValue = document
        for part in pointer.split("/")[1:]:
            if isinstance(value, dict):
                key = part.replace("~1", "/").replace("~0", "~")
                keys = self._known.setdefault(id(value), {})
                if not keys:
                    keys.update((name, number) for number, name in enumerate(value))
                place.append(keys.get(key, len(keys)))
                value = value.get(key)
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                place.append(int(part))
                value = value[int(part)]
            else:
                break
        return tuple(place)
