"""A node's config against its handler's struct, as far as that can be known before templates are rendered.

A string that is one whole expression may become any value and stands for all; a text with expressions in it
is text; everything else is held to the type, and everything wrong is reported, not only the first.
"""

from __future__ import annotations

import re
import types
import typing
from functools import lru_cache
from typing import Any, Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.plugin.literals import LiteralCheck
from flowengine.template import TemplateError, analyse, is_template
from flowengine.workflow.report import MAX_QUOTED_CHARS, Report, did_you_mean, quoted
from flowengine.workflow.shape import JsonObject, refuse_unknown_fields

MAX_MESSAGE_CHARS: Final = 300
_PATH: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<item>\d+)\]")
_NEVER_TEXT: Final = (bool, int, float, list, tuple, set, frozenset, dict, msgspec.Struct, type(None))
_LISTS: Final = (list, tuple, set, frozenset)
_SCALARS: Final = (str, int, float, bool, type(None))


def check_config(config: JsonObject, config_type: type[msgspec.Struct], pointer: str, report: Report) -> None:
    """Report everything in the config that the handler would refuse."""
    check = _Check(report)
    check.struct(config, config_type, pointer)
    if check.found or _holds_template(config):
        return
    try:
        msgspec.convert(config, config_type)
    except msgspec.ValidationError as error:
        check.refuse(error, pointer)


class _Check:
    """One config being checked. `found` says whether anything was reported."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.found = False

    def struct(self, value: JsonObject, struct: type[msgspec.Struct], pointer: str) -> None:
        """Every field of an object that a struct is made from."""
        fields = _fields(struct)
        tag = struct.__struct_config__.tag_field
        known = tuple(fields) if tag is None else (tag, *fields)
        self.found |= any(key not in known for key in value)
        refuse_unknown_fields(value, known, pointer, self._report)
        for name, field in fields.items():
            place = pointer_to(pointer, name)
            if name in value:
                self._value(value[name], field.type, place)
            elif field.required:
                self._add("missing_field", place, f"the field '{name}' is required")

    def refuse(self, error: msgspec.ValidationError, pointer: str) -> None:
        """Report what msgspec says, where it says."""
        text = str(error)
        found = _PATH.search(text)
        for step in _STEP.finditer(found["path"]) if found else ():
            pointer = pointer_to(pointer, step["field"] or step["item"])
        self._add("invalid_config", pointer, _PATH.sub("", text)[:MAX_MESSAGE_CHARS])

    def _add(self, code: str, pointer: str, message: str) -> None:
        self.found = True
        self._report.add(code, pointer, message)

    def _value(self, value: JsonValue, expected: Any, pointer: str) -> None:
        if isinstance(value, str) and is_template(value):
            if not _is_sole(value) and not _takes_text(expected):
                self._add(
                    "invalid_config",
                    pointer,
                    "text around an expression makes text, which is not what this field takes: "
                    "make the whole string one expression",
                )
            return
        if _holds_template(value):
            self._descend(value, expected, pointer)
            return
        try:
            msgspec.convert(value, expected)
        except msgspec.ValidationError as error:
            inner = _Check(self._report)
            inner._descend(value, expected, pointer)
            if inner.found:
                self.found = True
            elif choices := _choices(expected):
                meant = did_you_mean(self._report.nearest(str(value), choices))
                given = quoted(value) if isinstance(value, str) else str(value)[:MAX_QUOTED_CHARS]
                self._add("invalid_config", pointer, f"{given} is not one of {', '.join(choices)}{meant}")
            else:
                self.refuse(error, pointer)
        else:
            if isinstance(value, str):
                self._literal(value, expected, pointer)

    def _literal(self, text: str, expected: Any, pointer: str) -> None:
        for annotation in getattr(expected, "__metadata__", ()):
            if isinstance(annotation, LiteralCheck) and (wrong := annotation.check(text)):
                self._add("invalid_config", pointer, wrong[:MAX_MESSAGE_CHARS])

    def _descend(self, value: JsonValue, expected: Any, pointer: str) -> None:
        """Look at the parts of a list or object, where the type says what they must be."""
        options = _options(expected)
        if isinstance(value, dict):
            structs = [item for item in options if _is_struct(item)]
            mappings = [item for item in options if typing.get_origin(item) is dict]
            if len(structs) == 1 and not mappings:
                self.struct(value, structs[0], pointer)
            elif len(mappings) == 1 and not structs:
                for key, item in value.items():
                    self._value(item, typing.get_args(mappings[0])[1], pointer_to(pointer, key))
            elif not structs and not mappings and dict not in options:
                self._refuse_container("an object", options, pointer)
        elif isinstance(value, list):
            lists = [item for item in options if typing.get_origin(item) in _LISTS]
            if len(lists) == 1:
                self._items(value, lists[0], pointer)
            elif not lists and not set(_LISTS) & {item for item in options if isinstance(item, type)}:
                self._refuse_container("a list", options, pointer)

    def _items(self, value: list[JsonValue], expected: Any, pointer: str) -> None:
        arguments = typing.get_args(expected)
        if typing.get_origin(expected) is tuple and arguments[-1] is not Ellipsis:
            if len(arguments) != len(value):
                self._add("invalid_config", pointer, f"takes {len(arguments)} items, there are {len(value)}")
                return
        else:
            arguments = (arguments[0],) * len(value)
        for place, (item, kind) in enumerate(zip(value, arguments, strict=True)):
            self._value(item, kind, pointer_to(pointer, place))

    def _refuse_container(self, name: str, options: list[Any], pointer: str) -> None:
        if all(_is_well_known(option) for option in options):
            self._add("invalid_config", pointer, f"this field does not take {name}")


@lru_cache(256)
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """By name in JSON. Remembered: msgspec evaluates the annotations anew each time."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _is_struct(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, msgspec.Struct)


def _is_well_known(option: Any) -> bool:
    """Whether it is known of a type which JSON containers it takes."""
    origin = typing.get_origin(option)
    return option in _SCALARS or origin is typing.Literal or origin in (*_LISTS, dict) or _is_struct(option)


def _options(expected: Any) -> list[Any]:
    """The plain types that a type stands for: unions, annotations and aliases taken apart."""
    options: list[Any] = []
    pending = [expected]
    while pending:
        item = pending.pop()
        origin = typing.get_origin(item)
        if origin is typing.Annotated:
            pending.append(typing.get_args(item)[0])
        elif origin in (typing.Union, types.UnionType):
            pending.extend(typing.get_args(item))
        elif hasattr(item, "__supertype__"):  # NewType
            pending.append(item.__supertype__)
        elif type(item).__name__ == "TypeAliasType":
            pending.append(item.__value__)
        else:
            options.append(item)
    return options


def _choices(expected: Any) -> list[str]:
    """The values of a type that is a choice of a few, as text; empty for every other type."""
    options = _options(expected)
    values = [value for option in options if _is_choice(option) for value in typing.get_args(option)]
    return [str(value) for value in values] if all(map(_is_choice, options)) else []


def _is_choice(option: Any) -> bool:
    return typing.get_origin(option) is typing.Literal


def _takes_text(expected: Any) -> bool:
    return any(_option_takes_text(option) for option in _options(expected))


def _option_takes_text(option: Any) -> bool:
    origin = typing.get_origin(option)
    if origin is typing.Literal:
        return any(isinstance(value, str) for value in typing.get_args(option))
    plain = origin or option
    return not (isinstance(plain, type) and plain is not object and issubclass(plain, _NEVER_TEXT))


def _is_sole(text: str) -> bool:
    try:
        return analyse(text).is_sole
    except TemplateError:
        return True  # reported where references are checked


def _holds_template(value: JsonValue) -> bool:
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, dict):
        return any(_holds_template(item) for item in value.values())
    return isinstance(value, list) and any(_holds_template(item) for item in value)
