"""A node's `output_schema`: the JSON Schema of its primary value, and what templates may read there.

Only what a schema certainly rules out is refused. What it does not say is not known.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, UnencodableError, encode, pointer_to
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.inputs.json_schema import kinds_of, wrong_with_schema
from flowengine.workflow.inputs.subschemas import Schema, parts, resolved

FIELD: Final = "output_schema"
MAX_SCHEMA_BYTES: Final = 64 * 1024
"""What one schema may take as JSON: each task of its node carries it."""

MAX_SCHEMAS_BYTES: Final = 1024 * 1024
"""What all schemas of a document may take together."""

MAX_PATTERNS: Final = 5000
"""So many regular expressions they may hold together: each is compiled when it is checked."""

_MOST_REFERENCES: Final = 10
_WORDS: Final = {
    "string": "text",
    "number": "a number",
    "integer": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_OPEN: Final = frozenset(
    (
        *("patternProperties", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas"),
        *("unevaluatedProperties", "$ref"),
    )
)
"""Keywords beside `properties` that may say more about fields."""


class OutputSchema(msgspec.Struct, frozen=True):
    """A schema that is right, and the same as JSON."""

    schema: JsonObject
    encoded: bytes


class Absent(msgspec.Struct, frozen=True):
    """A field that the schema rules out. `known`: the fields that it has."""

    key: str | int
    message: str
    known: tuple[str, ...] = ()


class OutputSchemas:
    """Reads the schemas of a document's nodes, up to what they may take together."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._bytes_left = MAX_SCHEMAS_BYTES
        self._patterns_left = MAX_PATTERNS

    def read(self, node: JsonObject, pointer: str, field: str = FIELD) -> OutputSchema | None:
        """The schema that stands in this field of the node, or of its config, at `pointer`; None where there
        is none. A wrong one is reported."""
        schema = node.get(field)
        if schema is None or self._bytes_left < 0 or self._patterns_left < 0:
            return None
        place = pointer_to(pointer, field)
        if not isinstance(schema, dict):
            message = f"'{field}' is a JSON Schema, as in {{type: object}}; this is {type_name(schema)}"
            self._report.add("wrong_type", place, message)
            return None
        try:
            encoded = encode(schema)
        except UnencodableError as error:
            message = f"the schema cannot be written as JSON: {error}"
            self._report.add("invalid_schema", place, message)
            return None
        return OutputSchema(schema, encoded) if self._is_right(schema, len(encoded), place) else None

    def _is_right(self, schema: JsonObject, size: int, place: str) -> bool:
        if size > MAX_SCHEMA_BYTES:
            self._refuse(place, f"the schema takes {size} bytes of JSON, the limit is {MAX_SCHEMA_BYTES}")
            return False
        self._bytes_left -= size
        self._patterns_left -= _patterns(schema)
        if self._bytes_left < 0 or self._patterns_left < 0:
            self._refuse(
                place,
                f"from here on, the schemas of all nodes take more than {MAX_SCHEMAS_BYTES} bytes of JSON or "
                f"{MAX_PATTERNS} regular expressions",
            )
            return False
        wrong = wrong_with_schema(schema)
        for misfit in wrong:
            self._report.add("invalid_schema", place + misfit.pointer, misfit.message)
        return not wrong

    def _refuse(self, place: str, message: str) -> None:
        self._report.add("schema_too_large", place, f"{message}: say less of what nobody reads")


def _patterns(schema: JsonObject) -> int:
    """How many regular expressions a schema holds."""
    found = 0
    for _, part in parts(schema):
        if isinstance(part, dict):
            named = part.get("patternProperties")
            found += ("pattern" in part) + (len(named) if isinstance(named, dict) else 0)
    return found


def absent_field(schema: JsonObject, keys: tuple[str | int, ...], label: str) -> Absent | None:
    """The first of the keys, each read from the one before, that a value cannot have; None if all may be
    there."""
    part: Schema = schema
    for key in keys:
        kinds = kinds_of(part, schema)
        if kinds is not None and not _may_have(kinds, key):
            words = " or ".join(sorted({_WORDS.get(kind, kind) for kind in kinds}))
            return Absent(key, f"{label} is {words}, which has no {key!r}")
        known = _closed_fields(_followed(part, schema))
        if known is not None and kinds == frozenset({"object"}) and key not in known:
            return Absent(key, f"{label} has no field {key!r}", known)
        member = _member(_followed(part, schema), key)
        if member is None:
            return None
        part, label = member, f"{label}.{key}"
    return None


def kinds_at(schema: JsonObject, keys: tuple[str | int, ...]) -> frozenset[str] | None:
    """The JSON types of what the keys lead to; None where the schema does not say."""
    part: Schema = schema
    for key in keys:
        member = _member(_followed(part, schema), key)
        if member is None:
            return None
        part = member
    return kinds_of(part, schema)


def _followed(part: Schema, root: JsonObject) -> Schema:
    """What a reference leads to, if it stands alone."""
    for _ in range(_MOST_REFERENCES):
        if not isinstance(part, dict) or len(part) != 1 or not isinstance(name := part.get("$ref"), str):
            return part
        part = resolved(root, name) or True
    return True


def _may_have(kinds: frozenset[str], key: str | int) -> bool:
    if isinstance(key, int):
        return not kinds.isdisjoint(("array", "string"))
    return "object" in kinds


def _closed_fields(part: Schema) -> tuple[str, ...] | None:
    """The fields of an object that has no others; None where it may have others."""
    if not isinstance(part, dict) or not _OPEN.isdisjoint(part):
        return None
    fields = part.get("properties", {})
    return tuple(fields) if part.get("additionalProperties") is False and isinstance(fields, dict) else None


def _member(part: Schema, key: str | int) -> Schema | None:
    """The schema of a field or item; None where nothing is said of it."""
    if not isinstance(part, dict):
        return None
    found: JsonValue = None
    fields = part.get("properties")
    if isinstance(key, str) and isinstance(fields, dict):
        found = fields.get(key)
    elif isinstance(key, int) and "prefixItems" not in part:
        found = part.get("items")
    return found if isinstance(found, bool | dict) else None
