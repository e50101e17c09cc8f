"""What each `transform_type` does. Pure: a value and a few parameters in, a value out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from flowengine.execution.error_codes import INVALID_JSON, WRONG_INPUT_TYPE
from flowengine.handlers.builtin.bounded_text import join_texts, refuse_long
from flowengine.handlers.builtin.numbers import Number, as_number, describe
from flowengine.handlers.json_text import NotJsonError, parse_json
from flowengine.jsonvalue import UnencodableError, encode
from flowengine.plugin.errors import HandlerError

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class Parameters(Protocol):
    """A transform's config."""

    @property
    def transform_type(self) -> str: ...
    @property
    def input(self) -> Any: ...
    @property
    def separator(self) -> str | None: ...
    @property
    def old(self) -> str | None: ...
    @property
    def new(self) -> str: ...
    @property
    def descending(self) -> bool: ...
    @property
    def indent(self) -> int: ...


def _wrong(parameters: Parameters, needed: str) -> HandlerError:
    return HandlerError(
        WRONG_INPUT_TYPE.code,
        f"{parameters.transform_type} needs {needed} as input, it got {describe(parameters.input)}",
    )


def _text(parameters: Parameters) -> str:
    if not isinstance(parameters.input, str):
        raise _wrong(parameters, "text")
    return parameters.input


def _list(parameters: Parameters) -> list[Any]:
    if not isinstance(parameters.input, list):
        raise _wrong(parameters, "a list")
    return parameters.input


def _object(parameters: Parameters) -> dict[str, Any]:
    if not isinstance(parameters.input, dict):
        raise _wrong(parameters, "an object")
    return parameters.input


def _titled(parameters: Parameters) -> str:
    return _WORD.sub(lambda word: word[0].capitalize(), _text(parameters))


def _reversed(parameters: Parameters) -> str | list[Any]:
    if isinstance(parameters.input, str | list):
        return parameters.input[::-1]
    raise _wrong(parameters, "text or a list")


def _length(parameters: Parameters) -> int:
    if isinstance(parameters.input, str | list | dict):
        return len(parameters.input)
    raise _wrong(parameters, "text, a list or an object")


def _parsed(parameters: Parameters) -> object:
    try:
        return parse_json(_text(parameters))
    except NotJsonError as error:
        raise HandlerError(INVALID_JSON.code, f"json_parse: the input is not JSON: {error}") from error


def _stringified(parameters: Parameters) -> str:
    try:
        encoded = encode(parameters.input)
    except UnencodableError as error:
        raise HandlerError(INVALID_JSON.code, f"json_stringify: {error}") from error
    return (msgspec.json.format(encoded, indent=parameters.indent) if parameters.indent else encoded).decode()


def _as_text(parameters: Parameters) -> str:
    return parameters.input if isinstance(parameters.input, str) else _stringified(parameters)


def _as_number(parameters: Parameters) -> Number:
    return as_number(parameters.input, "input")


def _split(parameters: Parameters) -> list[str]:
    return _text(parameters).split(parameters.separator or None)


def _joined(parameters: Parameters) -> str:
    return join_texts(_list(parameters), parameters.separator or "", "join")


def _replaced(parameters: Parameters) -> str:
    text, old = _text(parameters), parameters.old or ""
    refuse_long(len(text) + text.count(old) * (len(parameters.new) - len(old)), "replace")
    return text.replace(old, parameters.new)


def _end(position: int) -> Callable[[Parameters], object]:
    def take(parameters: Parameters) -> object:
        if not isinstance(parameters.input, str | list):
            raise _wrong(parameters, "text or a list")
        return parameters.input[position] if parameters.input else None

    return take


def _unique(parameters: Parameters) -> list[Any]:
    seen: dict[bytes, Any] = {}
    for item in _list(parameters):
        seen.setdefault(msgspec.json.encode(item, order="deterministic"), item)
    return list(seen.values())


def _sorted(parameters: Parameters) -> list[Any]:
    items = _list(parameters)
    texts = all(isinstance(item, str) for item in items)
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    if not (texts or numbers):
        raise HandlerError(WRONG_INPUT_TYPE.code, "sort needs a list of texts only or of numbers only")
    return sorted(items, reverse=parameters.descending)


def _flattened(parameters: Parameters) -> list[Any]:
    """One level only, as users of array methods expect."""
    flat: list[Any] = []
    for item in _list(parameters):
        flat.extend(item if isinstance(item, list) else [item])
    return flat


TRANSFORMS: Final[Mapping[str, Callable[[Parameters], object]]] = {
    "uppercase": lambda parameters: _text(parameters).upper(),
    "lowercase": lambda parameters: _text(parameters).lower(),
    "title": _titled,
    "capitalize": lambda parameters: _text(parameters).capitalize(),
    "trim": lambda parameters: _text(parameters).strip(),
    "reverse": _reversed,
    "length": _length,
    "json_parse": _parsed,
    "json_stringify": _stringified,
    "split": _split,
    "join": _joined,
    "replace": _replaced,
    "to_number": _as_number,
    "to_text": _as_text,
    "first": _end(0),
    "last": _end(-1),
    "unique": _unique,
    "sort": _sorted,
    "flatten": _flattened,
    "keys": lambda parameters: list(_object(parameters)),
    "values": lambda parameters: list(_object(parameters).values()),
}
