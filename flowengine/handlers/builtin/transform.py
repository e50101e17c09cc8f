"""`transform`: makes one value out of another. Knows nothing of where the value comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from flowengine.execution.error_codes import INVALID_JSON, MISSING_PARAMETER, WRONG_INPUT_TYPE
from flowengine.handlers.builtin.checked_values import Number, as_number, describe, join_texts, refuse_long
from flowengine.jsonvalue import NotJsonError, UnencodableError, decode_bounded, encode
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.registry import handler

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

TransformType = Literal[
    "uppercase",
    "lowercase",
    "title",
    "capitalize",
    "trim",
    "reverse",
    "length",
    "json_parse",
    "json_stringify",
    "split",
    "join",
    "replace",
    "to_number",
    "to_text",
    "first",
    "last",
    "unique",
    "sort",
    "flatten",
    "keys",
    "values",
]


class TransformConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to transform, and how."""

    input: Annotated[Any, msgspec.Meta(description="The value: text, list, object, number, ...")]
    transform_type: Annotated[TransformType, msgspec.Meta(description="What to do with `input`.")]
    separator: Annotated[
        str | None,
        msgspec.Meta(
            description="`split`: where to cut (default: white space); `join`: what to put between."
        ),
    ] = None
    old: Annotated[str | None, msgspec.Meta(description="`replace`: the text to look for.")] = None
    new: Annotated[str, msgspec.Meta(description="`replace`: what to put in its place.")] = ""
    descending: Annotated[bool, msgspec.Meta(description="`sort`: the largest first.")] = False
    indent: Annotated[
        int, msgspec.Meta(ge=0, le=8, description="`json_stringify`: spaces a level; 0 is one line.")
    ] = 0


class TransformResult(msgspec.Struct, frozen=True):
    """The output."""

    result: Any


@handler("transform", primary="result", secrets=False, output=TransformResult)
def transform(config: TransformConfig, context: Context) -> TransformResult:
    """Transforms one value: text, list, object or JSON.

    Raises HandlerError: `wrong_input_type`, `invalid_json`, `not_a_number`, `missing_parameter`,
    `result_too_large`.
    """
    if config.transform_type == "replace" and not config.old:
        raise HandlerError(MISSING_PARAMETER.code, "replace needs 'old', the text to look for")
    return TransformResult(_TRANSFORMS[config.transform_type](config))


def _wrong(config: TransformConfig, needed: str) -> HandlerError:
    return HandlerError(
        WRONG_INPUT_TYPE.code,
        f"{config.transform_type} needs {needed} as input, it got {describe(config.input)}",
    )


def _text(config: TransformConfig) -> str:
    if not isinstance(config.input, str):
        raise _wrong(config, "text")
    return config.input


def _list(config: TransformConfig) -> list[Any]:
    if not isinstance(config.input, list):
        raise _wrong(config, "a list")
    return config.input


def _object(config: TransformConfig) -> dict[str, Any]:
    if not isinstance(config.input, dict):
        raise _wrong(config, "an object")
    return config.input


def _titled(config: TransformConfig) -> str:
    return _WORD.sub(lambda word: word[0].capitalize(), _text(config))


def _reversed(config: TransformConfig) -> str | list[Any]:
    if isinstance(config.input, str | list):
        return config.input[::-1]
    raise _wrong(config, "text or a list")


def _length(config: TransformConfig) -> int:
    if isinstance(config.input, str | list | dict):
        return len(config.input)
    raise _wrong(config, "text, a list or an object")


def _parsed(config: TransformConfig) -> object:
    try:
        return decode_bounded(_text(config))
    except NotJsonError as error:
        raise HandlerError(INVALID_JSON.code, f"json_parse: the input is not JSON: {error}") from error


def _stringified(config: TransformConfig) -> str:
    try:
        encoded = encode(config.input)
    except UnencodableError as error:
        raise HandlerError(INVALID_JSON.code, f"json_stringify: {error}") from error
    return (msgspec.json.format(encoded, indent=config.indent) if config.indent else encoded).decode()


def _as_text(config: TransformConfig) -> str:
    return config.input if isinstance(config.input, str) else _stringified(config)


def _as_number(config: TransformConfig) -> Number:
    return as_number(config.input, "input")


def _split(config: TransformConfig) -> list[str]:
    return _text(config).split(config.separator or None)


def _joined(config: TransformConfig) -> str:
    return join_texts(_list(config), config.separator or "", "join")


def _replaced(config: TransformConfig) -> str:
    text, old = _text(config), config.old or ""
    refuse_long(len(text) + text.count(old) * (len(config.new) - len(old)), "replace")
    return text.replace(old, config.new)


def _end(position: int) -> Callable[[TransformConfig], object]:
    def take(config: TransformConfig) -> object:
        if not isinstance(config.input, str | list):
            raise _wrong(config, "text or a list")
        return config.input[position] if config.input else None

    return take


def _unique(config: TransformConfig) -> list[Any]:
    seen: dict[bytes, Any] = {}
    for item in _list(config):
        seen.setdefault(msgspec.json.encode(item, order="deterministic"), item)
    return list(seen.values())


def _sorted(config: TransformConfig) -> list[Any]:
    items = _list(config)
    texts = all(isinstance(item, str) for item in items)
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    if not (texts or numbers):
        raise HandlerError(WRONG_INPUT_TYPE.code, "sort needs a list of texts only or of numbers only")
    return sorted(items, reverse=config.descending)


def _flattened(config: TransformConfig) -> list[Any]:
    """One level only, as the array methods of other languages do."""
    flat: list[Any] = []
    for item in _list(config):
        flat.extend(item if isinstance(item, list) else [item])
    return flat


_TRANSFORMS: Final[Mapping[str, Callable[[TransformConfig], object]]] = {
    "uppercase": lambda config: _text(config).upper(),
    "lowercase": lambda config: _text(config).lower(),
    "title": _titled,
    "capitalize": lambda config: _text(config).capitalize(),
    "trim": lambda config: _text(config).strip(),
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
    "keys": lambda config: list(_object(config)),
    "values": lambda config: list(_object(config).values()),
}
