"""JSON Schemas of inputs (draft 2020-12): whether one is right, and whether a value fits it.

Nothing is fetched, whatever a schema refers to. Regular expressions are matched in linear time, without
look-around and references back. The library makes errors with copies of the value in them, so it is asked for
them only where these stay small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from flowengine.jsonvalue import JsonValue, decode, pointer_to
from flowengine.nearest_name import nearest_name
from flowengine.workflow.inputs.subschemas import CheckWork, Schema, breadth_of, parts, resolved
from flowengine.workflow.problems import did_you_mean, escaped, quoted

if TYPE_CHECKING:
    import jsonschema_rs

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FORMATS: Final = (
    *(
        "date",
        "date-time",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
    ),
    *("uri", "uri-reference", "uri-template", "iri", "iri-reference", "uuid", "json-pointer"),
    *("relative-json-pointer", "regex"),
)
NOT_TAKEN: Final = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary")
"""Keywords that say where a schema is, or that change what a reference means."""

MAX_MESSAGE_CHARS: Final = 300
MAX_MISFITS: Final = 50
MAX_MISFITS_OF_SCHEMA: Final = 20
_PATTERN_BYTES: Final = 16 * 1024
_CACHED_BYTES: Final = 16 * 1024
_COPIED_BYTES: Final = 16 * 1024 * 1024
_SMALL_BYTES: Final = 16 * 1024
_MASK: Final = "the value"
_TOO_MUCH: Final = "it takes too much work to check this value: give a smaller one, or a simpler schema"


class Misfit(msgspec.Struct, frozen=True):
    """Something wrong, and the pointer to it from where the schema or the value begins."""

    pointer: str
    message: str


def wrong_with_schema(schema: Schema) -> tuple[Misfit, ...]:
    """What is wrong with a schema; nothing if it can be used."""
    found = tuple(islice(_forbidden(schema), MAX_MISFITS_OF_SCHEMA))
    return found or tuple(_invalid(schema))


def misfits(schema: bytes, value: JsonValue, size: int, left: CheckWork | None = None) -> tuple[Misfit, ...]:
    """What is wrong with a value, which has `size` bytes as JSON; nothing if it fits the schema, a right one.
    `left`: the work that may be done for it and for others; None: for it alone.

    Messages quote no part of the value, but names of fields.
    """
    decoded = _schema(schema)
    left = left or CheckWork()
    breadth = _breadth(schema)
    most = None if breadth is None else breadth * size
    is_counted = size <= _SMALL_BYTES or most is None or not left.covers(most)
    work = left.pay(decoded, value) if is_counted else 0
    if work is None:
        return (Misfit("", _TOO_MUCH),)
    validator = _kept(schema) if len(schema) <= _CACHED_BYTES else _validator(decoded)
    if validator.is_valid(value):
        return ()
    if is_counted and work * max(size, 1) <= _COPIED_BYTES:
        found = list(validator.iter_errors(value))
    elif most is not None and most <= _COPIED_BYTES:
        found = list(_first_error(validator, value))
    else:
        return (Misfit("", "it does not fit its schema, and is too large to say where"),)
    return tuple(
        Misfit(_pointer(error.instance_path), _worded(error.message)) for error in found[:MAX_MISFITS]
    )


@lru_cache(64)
def _breadth(schema: bytes) -> int | None:
    return breadth_of(_schema(schema))


def _first_error(
    validator: jsonschema_rs.Draft202012Validator, value: JsonValue
) -> Iterator[jsonschema_rs.ValidationError]:
    """The first misfit alone, which copies the value once."""
    import jsonschema_rs

    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        yield error


def kinds_of(schema: Schema, root: Schema) -> frozenset[str] | None:
    """The types that a value may be of; None where the schema does not say."""
    for _ in range(10):
        if not isinstance(schema, dict) or "$ref" not in schema:
            break
        target = resolved(root, str(schema["$ref"]))
        if target is None:
            return None
        schema = target
    said = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(said, str):
        return frozenset({said})
    if isinstance(said, list):
        return frozenset(str(kind) for kind in said)
    return None


def _forbidden(schema: Schema) -> Iterator[Misfit]:
    """What a schema of an input may not say, though it may be right elsewhere."""
    for pointer, part in parts(schema):
        if isinstance(part, bool):
            continue
        for word in NOT_TAKEN:
            if word in part:
                yield Misfit(
                    pointer_to(pointer, word), f"{quoted(word)} is not taken: refer to '#/$defs/...'"
                )
        if part.get("$schema", DIALECT) != DIALECT:
            yield Misfit(pointer_to(pointer, "$schema"), f"schemas are those of {DIALECT}: leave this out")
        reference = part.get("$ref")
        if isinstance(reference, str) and resolved(schema, reference) is None:
            yield Misfit(pointer_to(pointer, "$ref"), _unresolved(reference))
        form = part.get("format")
        if isinstance(form, str) and form not in FORMATS:
            nearest = did_you_mean(nearest_name(form, FORMATS)) or "."
            message = f"no format called {quoted(form)}{nearest} There are: {', '.join(FORMATS)}"
            yield Misfit(pointer_to(pointer, "format"), message)


def _unresolved(reference: str) -> str:
    if reference.startswith("#"):
        return f"{quoted(reference)} leads to no schema here; write '#/$defs/NAME'"
    return f"{quoted(reference)} leads out of this schema, and nothing is fetched: copy it into '$defs'"


def _invalid(schema: Schema) -> Iterator[Misfit]:
    import jsonschema_rs

    try:
        _validator(schema)
    except jsonschema_rs.ValidationError as error:
        yield Misfit(_pointer(error.instance_path), _reason(error))
    except ValueError as error:
        yield Misfit("", _worded(str(error)))


def _reason(error: jsonschema_rs.ValidationError) -> str:
    place = error.instance_path[-1] if error.instance_path else ""
    if place == "type" or (error.instance_path[-2:-1] == ["type"]):
        kinds = "string, number, integer, boolean, object, array, null"
        return f"{quoted(str(error.instance))} is no type; there are {kinds}"
    if error.message.endswith('is not a "regex"'):
        return (
            f"{quoted(str(error.instance))} is no regular expression that is taken here: without look-around "
            "and references back, and none that repeats large parts"
        )
    return f"this is no JSON Schema: {_worded(error.message)}"


def _worded(message: str) -> str:
    return escaped(message, MAX_MESSAGE_CHARS)


def _pointer(path: Sequence[str | int]) -> str:
    pointer = ""
    for step in path:
        pointer = pointer_to(pointer, step)
    return pointer


def _schema(data: bytes) -> Schema:
    schema = decode(data)
    assert isinstance(schema, bool | dict)
    return schema


@lru_cache(64)
def _kept(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    return _validator(_schema(schema))


def _validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    # Imported at the first schema: most processes never see one.
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        offline=True,
        mask=_MASK,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES),
    )
