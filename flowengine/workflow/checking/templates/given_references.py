"""Checks what templates read of what an execution is given: its `inputs`, and `execution` itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, decode
from flowengine.template import Analysis, FieldRead, SecretNotAllowedError, refuse_altered_inputs
from flowengine.template.reference import EXECUTION, EXECUTION_FIELDS, INPUTS
from flowengine.workflow.inputs.declared import Input
from flowengine.workflow.inputs.json_schema import kinds_of
from flowengine.workflow.inputs.subschemas import Schema, resolved
from flowengine.workflow.problems import quoted

WHOLE_SECRET: Final = (
    "'inputs' is read whole, and one of them is secret: name the inputs that are meant, {{ inputs.NAME }}"
)
_KINDS: Final = {
    "string": "text",
    "number": "a number",
    "integer": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_OPEN: Final = (
    "patternProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
    "unevaluatedProperties",
)


class Unreadable(msgspec.Struct, frozen=True):
    """Something that a template cannot read. `name` is that which is not known, `known` those that are."""

    code: str
    message: str
    name: str = ""
    known: tuple[str, ...] = ()


class GivenCheck:
    """What the templates of one document may read. `inputs`: those that it declares; None: any."""

    def __init__(self, inputs: Mapping[str, Input] | None) -> None:
        self._inputs = inputs
        self._schemas: dict[str, Schema] = {}
        self.secret = frozenset(name for name, one in (inputs or {}).items() if one.secret)

    def unreadable(self, text: str, analysis: Analysis) -> Iterator[Unreadable]:
        """What a template reads and cannot, wherever it stands."""
        if not analysis.given:
            return
        for root, name in analysis.given:
            if root == EXECUTION and name and name not in EXECUTION_FIELDS:
                message = f"'execution' has no field {quoted(name)}"
                yield Unreadable("unknown_field", message, name, EXECUTION_FIELDS)
            if root == INPUTS and name and self._inputs is not None and name not in self._inputs:
                message = f"the workflow has no input {quoted(name)}"
                yield Unreadable("unknown_field", message, name, tuple(self._inputs))
            if root == INPUTS and not name and self.secret:
                yield Unreadable("secret_not_allowed", WHOLE_SECRET)
        for read in analysis.fields:
            if read.node == INPUTS and self._inputs is not None and read.keys[0] in self._inputs:
                yield from self._missing(read)
        if self.reads_secret(analysis):
            try:
                refuse_altered_inputs(text, self.secret)
            except SecretNotAllowedError as error:
                yield Unreadable(error.code, error.message)

    def reads_secret(self, analysis: Analysis) -> bool:
        """Whether a template reads a secret input."""
        return bool(self.secret) and any(
            root == INPUTS and name in self.secret for root, name in analysis.given
        )

    def roots(self, analysis: Analysis) -> Iterator[str]:
        """The names under which it reads what is given."""
        return (root for root, _ in analysis.given)

    def may_be_absent(self, analysis: Analysis) -> Iterator[str]:
        """The inputs that a template must have and that need not be given."""
        for read in analysis.fields:
            one = (self._inputs or {}).get(str(read.keys[0])) if read.node == INPUTS else None
            if one is not None and len(read.keys) == 1 and not one.required and not one.has_default:
                yield str(read.keys[0])

    def kinds(self, analysis: Analysis) -> frozenset[str] | None:
        """The JSON types that a template which is one input may give; None where that is not known."""
        if not analysis.is_sole or not analysis.is_simple or len(analysis.fields) != 1:
            return None
        (read,) = analysis.fields
        if read.node == EXECUTION and len(read.keys) == 1:
            return frozenset({"integer" if read.keys[0] == "run" else "string"})
        if read.node != INPUTS or self._inputs is None or read.keys[0] not in self._inputs:
            return None
        root = part = self._schema(str(read.keys[0]))
        for key in read.keys[1:]:
            member = _member(part, key, root)
            if member is None:
                return None
            part = member
        return kinds_of(part, root)

    def _missing(self, read: FieldRead) -> Iterator[Unreadable]:
        """The first of the fields that an input cannot have."""
        root = part = self._schema(str(read.keys[0]))
        label = f"inputs.{read.keys[0]}"
        for key in read.keys[1:]:
            kinds = kinds_of(part, root)
            if kinds is not None and not _may_have(kinds, key):
                words = " or ".join(sorted({_KINDS.get(kind, kind) for kind in kinds}))
                yield Unreadable("unknown_field", f"{label} is {words}, which has no {key!r}")
                return
            known = _closed_fields(part, root)
            if known is not None and kinds == frozenset({"object"}) and key not in known:
                yield Unreadable("unknown_field", f"{label} has no field {key!r}", str(key), known)
                return
            member = _member(part, key, root)
            if member is None:
                return
            part, label = member, f"{label}.{key}"

    def _schema(self, name: str) -> Schema:
        if name not in self._schemas:
            schema: JsonValue = decode(bytes((self._inputs or {})[name].schema))
            self._schemas[name] = schema if isinstance(schema, bool | dict) else True
        return self._schemas[name]


def _may_have(kinds: frozenset[str], key: str | int) -> bool:
    if isinstance(key, int):
        return not kinds.isdisjoint(("array", "string"))
    return "object" in kinds


def _followed(part: Schema, root: Schema) -> Schema:
    if isinstance(part, dict) and isinstance(reference := part.get("$ref"), str):
        return resolved(root, reference) or True
    return part


def _closed_fields(part: Schema, root: Schema) -> tuple[str, ...] | None:
    """The fields of an object that has no others; None where it may have others."""
    part = _followed(part, root)
    if not isinstance(part, dict) or any(word in part for word in _OPEN):
        return None
    if part.get("additionalProperties") is not False:
        return None
    fields = part.get("properties", {})
    return tuple(fields) if isinstance(fields, dict) else None


def _member(part: Schema, key: str | int, root: Schema) -> Schema | None:
    """The schema of a field or item; None where nothing is said of it."""
    part = _followed(part, root)
    if not isinstance(part, dict):
        return None
    fields = part.get("properties")
    if isinstance(key, str) and isinstance(fields, dict):
        found = fields.get(key)
    elif isinstance(key, int) and "prefixItems" not in part:
        found = part.get("items")
    else:
        found = None
    return found if isinstance(found, bool | dict) else None
