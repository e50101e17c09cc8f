"""Reads the fields of one object of a document; reports those that are unknown, missing or of a wrong type.

`pointer` is that of the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import MAX_ID_CHARS
from flowengine.workflow.problems import did_you_mean, quoted

JsonObject = dict[str, JsonValue]

NO_SPELLINGS: Final[Mapping[str, str]] = MappingProxyType({})


def refuse_unknown_fields(
    owner: JsonObject,
    known: tuple[str, ...],
    pointer: str,
    report: Report,
    spellings: Mapping[str, str] = NO_SPELLINGS,
) -> None:
    """Report every key that is not known, and name the one that was meant.

    `spellings`: what other tools call some of the fields. Of the other keys, only a close one is named.
    """
    unknown = [key for key in owner if key not in known]
    for place, key in enumerate(unknown):
        if report.is_full:
            report.leave_out(len(unknown) - place)
            return
        other_tools_word = spellings.get(key)
        meant = other_tools_word if other_tools_word in known else report.nearest(key, known)
        fields = f" Known fields: {', '.join(known)}" if known else " It takes no fields"
        report.add(
            "unknown_field",
            pointer_to(pointer, key[:MAX_ID_CHARS]),
            f"unknown field {quoted(key)}{did_you_mean(meant) or '.'}{fields}",
        )


def read_text(owner: JsonObject, key: str, pointer: str, report: Report) -> str | None:
    """The text of a required field; None when the field is missing or no text."""
    if key not in owner:
        report.add("missing_field", pointer_to(pointer, key), f"the field '{key}' is required")
        return None
    value = owner[key]
    if isinstance(value, str):
        return value
    report.add(
        "wrong_type",
        pointer_to(pointer, key),
        f"'{key}' must be text, it is {type_name(value)}{advice_to_quote(value)}",
    )
    return None


def read_object(owner: JsonObject, key: str, pointer: str, report: Report) -> JsonObject | None:
    """The object of an optional field, empty by default; None when the value is no object."""
    value = owner.get(key, {})
    if isinstance(value, dict):
        return value
    report.add("wrong_type", pointer_to(pointer, key), f"'{key}' must be an object, it is {type_name(value)}")
    return None


def read_list(owner: JsonObject, key: str, pointer: str, report: Report) -> list[JsonValue]:
    """A field's list; empty if it is missing or no list, which is reported."""
    found = owner.get(key)
    if found is None or isinstance(found, list):
        return found or []
    report.add("wrong_type", pointer_to(pointer, key), f"'{key}' must be a list, it is {type_name(found)}")
    return []


def advice_to_quote(value: JsonValue) -> str:
    """The end of a message about a value that is no text, if quotes in the YAML would make it one."""
    return ": quote it" if isinstance(value, bool | int | float) else ""
