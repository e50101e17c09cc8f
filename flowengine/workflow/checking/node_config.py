"""Checks a node's config against its handler's struct, as far as possible before templates are rendered.

A string that is one whole expression may become a value of any type, so it is accepted everywhere. A text
with expressions in it is text. Everything else must match its type, and each value that does not is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, UnencodableError, encode, pointer_to
from flowengine.plugin.literal_check import ChecksConfig, LiteralCheck
from flowengine.template import is_template
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.expected_types import Expected, Fields, fields_of
from flowengine.workflow.problems import did_you_mean, escaped, quoted

KindsOf: TypeAlias = Callable[[str], frozenset[str] | None]
"""The JSON types that a template gives; None where that is not known."""

MAX_MESSAGE_CHARS: Final = 300
_PATH: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<item>\d+)\]")
_TEXT_NOT_TAKEN: Final = (
    "text around an expression makes text, which is not what this field takes: "
    "make the whole string one expression"
)


def encode_config(
    config: JsonObject, pointer: str, max_bytes: int, report: Report, *, has_defaults: bool = False
) -> bytes | None:
    """The config as JSON; None, which is reported, where it cannot be written as JSON or is too large."""
    try:
        encoded = encode(config)
    except UnencodableError as error:
        report.add("invalid_config", pointer, f"the config cannot be written as JSON: {error}")
        return None
    if len(encoded) <= max_bytes:
        return encoded
    report.add(
        "config_too_large",
        pointer,
        f"the config{', with defaults.config,' if has_defaults else ''} takes {len(encoded)} bytes of JSON, "
        f"the limit is {max_bytes} "
        "(FLOWENGINE_MAX_CONFIG_BYTES): move large data to a service and read it from there",
    )
    return None


def check_config(
    config: JsonObject,
    config_type: type[msgspec.Struct],
    pointer: str,
    report: Report,
    is_sole: Callable[[str], bool],
    kinds_of: KindsOf = lambda template: None,
    *,
    is_part: bool = False,
) -> None:
    """Report everything in the config that the handler would refuse, until the report is full.

    `is_sole` says whether a template is one whole expression, `kinds_of` which JSON types it gives.
    `is_part`: what is missing may come from elsewhere.
    """
    has_templates = _holds_template(config)
    check = _Check(report, is_sole, has_templates, kinds_of, is_part=is_part)
    check.struct(config, fields_of(config_type), pointer)
    if check.found or has_templates or is_part:
        return
    try:
        msgspec.convert(config, config_type)
    except msgspec.ValidationError as error:
        check.refuse(error, pointer)


class _Member(msgspec.Struct, frozen=True):
    """A value in a list or object. `key` is its place or name there."""

    key: str | int
    value: JsonValue
    holds_template: bool


class _Check:
    """One config, or a part of one, being checked. `found` says whether anything was reported."""

    def __init__(
        self,
        report: Report,
        is_sole: Callable[[str], bool],
        has_templates: bool,
        kinds_of: KindsOf = lambda template: None,
        *,
        is_part: bool = False,
    ) -> None:
        self._kinds_of = kinds_of
        self._report = report
        self._is_sole = is_sole
        self._has_templates = has_templates
        self._is_part = is_part
        self.found = False

    def struct(self, value: JsonObject, fields: Fields, pointer: str) -> None:
        """Check every field of an object that a struct is made from."""
        if not fields.names.issuperset(value):
            self.found = True
            refuse_unknown_fields(value, fields.known, pointer, self._report)
        for name, field in fields.by_name.items():
            if name in value:
                self._value(value[name], field.expected, pointer, name)
            elif field.is_required and not self._is_part:
                self._add("missing_field", pointer_to(pointer, name), f"the field '{name}' is required")
        if fields.rules is not None and not self.found and not self._is_part:
            self._whole(value, fields.rules, pointer)

    def _whole(self, value: JsonObject, rules: type[ChecksConfig], pointer: str) -> None:
        """Check what a struct says of several fields at once."""
        for name, wrong in rules.wrong_with(value):
            place = pointer_to(pointer, name) if name else pointer
            self._add("invalid_config", place, escaped(wrong, MAX_MESSAGE_CHARS))

    def refuse(self, error: msgspec.ValidationError, pointer: str) -> None:
        """Report msgspec's error at the place that it names."""
        text = str(error)
        found = _PATH.search(text)
        for step in _STEP.finditer(found["path"]) if found else ():
            pointer = pointer_to(pointer, step["field"] or step["item"])
        self._add("invalid_config", pointer, escaped(_PATH.sub("", text), MAX_MESSAGE_CHARS))

    def _add(self, code: str, pointer: str, message: str) -> None:
        self.found = True
        self._report.add(code, pointer, message)

    def _leave_out(self) -> None:
        """Count something that does not fit, without a look at how much of it is wrong."""
        self.found = True
        self._report.leave_out(at_least=True)

    def _value(self, value: JsonValue, expected: Expected, owner: str, key: str | int) -> None:
        if self._has_templates and _holds_template(value):
            self._templated(value, expected, owner, key)
        else:
            self._plain(value, expected, owner, key)

    def _templated(self, value: JsonValue, expected: Expected, owner: str, key: str | int) -> None:
        """Check a template, or a list or object with templates in it."""
        if isinstance(value, str):
            if not expected.takes_text and not self._is_sole(value):
                self._add("invalid_config", pointer_to(owner, key), _TEXT_NOT_TAKEN)
            elif (kinds := self._kinds_of(value)) is not None and not expected.takes_one_of(kinds):
                given, taken = (" or ".join(sorted(names)) for names in (kinds, expected.kinds or ()))
                message = f"the template gives {given}, and this field takes {taken}"
                self._add("type_mismatch", pointer_to(owner, key), message)
        elif self._report.is_full and expected.has_parts:
            self._report.leave_out(0, at_least=True)
        else:
            self._descend(value, expected, pointer_to(owner, key))

    def _plain(self, value: JsonValue, expected: Expected, owner: str, key: str | int) -> None:
        if isinstance(value, str) and value in expected.texts:
            return
        try:
            msgspec.convert(value, expected.annotation)
        except msgspec.ValidationError as error:
            if self._report.is_full:
                self._leave_out()
            else:
                self._refuse_plain(value, expected, pointer_to(owner, key), error)
        else:
            if value is not None:
                self._literal(value, expected, owner, key)

    def _literal(self, value: JsonValue, expected: Expected, owner: str, key: str | int) -> None:
        for extra in getattr(expected.annotation, "__metadata__", ()):
            if isinstance(extra, LiteralCheck) and (wrong := extra.check(value)):
                self._add("invalid_config", pointer_to(owner, key), escaped(wrong, MAX_MESSAGE_CHARS))

    def _refuse_plain(
        self, value: JsonValue, expected: Expected, pointer: str, error: msgspec.ValidationError
    ) -> None:
        inner = _Check(self._report, self._is_sole, has_templates=False, is_part=self._is_part)
        inner._descend(value, expected, pointer)
        if inner.found or (self._is_part and expected.has_parts and isinstance(value, dict | list)):
            self.found = True
        elif expected.choices and not isinstance(value, dict | list):
            self._refuse_choice(value, expected.choices, pointer)
        else:
            self.refuse(error, pointer)

    def _descend(self, value: JsonValue, expected: Expected, pointer: str) -> None:
        """Check the parts of a list or object, where the type says what they must be."""
        if isinstance(value, dict):
            if expected.fields is not None:
                self.struct(value, expected.fields, pointer)
            elif expected.values is not None:
                self._members(self._listed(value.items()), expected.values, pointer)
            elif expected.refuses_objects:
                self._add("invalid_config", pointer, "this field does not take an object")
        elif isinstance(value, list):
            if expected.items is not None:
                self._members(self._listed(enumerate(value)), expected.items, pointer)
            elif expected.places is not None:
                self._places(value, expected.places, pointer)
            elif expected.refuses_lists:
                self._add("invalid_config", pointer, "this field does not take a list")

    def _listed(self, items: Iterable[tuple[str | int, JsonValue]]) -> list[_Member]:
        return [_Member(key, item, self._has_templates and _holds_template(item)) for key, item in items]

    def _members(self, members: Sequence[_Member], expected: Expected, pointer: str) -> None:
        """Check values that must have one type: all at once and, where one does not fit, half by half."""
        if len(members) == 1 and not members[0].holds_template:
            self._plain(members[0].value, expected, pointer, members[0].key)
        elif _fit([member.value for member in members if not member.holds_template], expected):
            for member in members:
                if member.holds_template:
                    self._templated(member.value, expected, pointer, member.key)
        elif self._report.is_full:
            self._leave_out()
        else:
            half = len(members) // 2
            self._members(members[:half], expected, pointer)
            self._members(members[half:], expected, pointer)

    def _places(self, value: list[JsonValue], places: tuple[Expected, ...], pointer: str) -> None:
        if len(places) != len(value):
            message = f"takes {len(places)} items, there are {len(value)}"
            self._add("invalid_config", pointer, message)
            return
        for place, (item, expected) in enumerate(zip(value, places, strict=True)):
            self._value(item, expected, pointer, place)

    def _refuse_choice(self, value: JsonValue, choices: tuple[str, ...], pointer: str) -> None:
        meant = did_you_mean(self._report.nearest(str(value), choices))
        given = quoted(value) if isinstance(value, str) else escaped(str(value))
        self._add("invalid_config", pointer, f"{given} is not one of {', '.join(choices)}{meant}")


def _fit(values: list[JsonValue], expected: Expected) -> bool:
    try:
        msgspec.convert(values, expected.list_of)
    except msgspec.ValidationError:
        return False
    return True


def _holds_template(value: JsonValue) -> bool:
    pending = [value]
    for item in pending:
        if isinstance(item, str):
            if is_template(item):
                return True
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
