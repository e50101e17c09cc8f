"""Checks what templates read of what an execution is given: its `inputs`, and `execution` itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, decode
from flowengine.template import Analysis, FieldRead, SecretNotAllowedError, refuse_altered_given
from flowengine.template.reference import (
    EXECUTION,
    EXECUTION_FIELDS,
    INPUTS,
    OUTCOME_FIELDS,
    TRIGGER,
    TRIGGER_FIELDS,
    VARS,
)
from flowengine.workflow.inputs.declared import Input, Var
from flowengine.workflow.inputs.json_schema import kinds_of
from flowengine.workflow.inputs.subschemas import Schema, resolved
from flowengine.workflow.labels import FIELD as LABELS
from flowengine.workflow.labels import Labels
from flowengine.workflow.plan import NO_VARS
from flowengine.workflow.problems import quoted
from flowengine.workflow.stages import Stage, is_hook

OUTCOME: Final = "outcome"
"""What a task is given whose templates read `execution` as hooks may."""

_EXECUTION_KINDS: Final = {
    "run": frozenset({"integer"}),
    "error": None,
    "failed_nodes": frozenset({"array"}),
    "counts": frozenset({"object"}),
    LABELS: frozenset({"object"}),
    "group_id": frozenset({"string", "null"}),
    "scheduled_at": frozenset({"string", "null"}),
}
_TRIGGER: Final[Mapping[str, Schema]] = {
    "kind": {"type": "string"},
    "outputs": {"type": ["object", "null"]},
    **{name: {"type": ["string", "null"]} for name in TRIGGER_FIELDS if name not in ("kind", "outputs")},
}
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
    """What the templates of one document may read. `inputs`: those that it declares; None: any. `labels`:
    those of all its executions."""

    def __init__(
        self,
        inputs: Mapping[str, Input] | None,
        variables: Mapping[str, Var] = NO_VARS,
        labels: Labels = MappingProxyType({}),
    ) -> None:
        self._inputs = inputs
        self._labels = labels
        self._vars = variables
        self._schemas: dict[str, Schema] = {}
        self._secret = frozenset(
            (
                *((INPUTS, name) for name, one in (inputs or {}).items() if one.secret),
                *((VARS, name) for name, one in variables.items() if one.secret),
            )
        )
        late = [bytes(one.value) for one in variables.values() if one.secret]
        reads_trigger = any(TRIGGER.encode() in value for value in late)
        self._of_secret_vars = (INPUTS, EXECUTION, TRIGGER) if reads_trigger else (INPUTS, EXECUTION)
        secret_inputs = any(root == INPUTS for root, _ in self._secret)
        self.of_every_node = (INPUTS,) if secret_inputs else ()
        """What every node reads: its worker must know the secrets of its execution."""

    def unreadable(self, text: str, analysis: Analysis) -> Iterator[Unreadable]:
        """What a template reads and cannot, wherever it stands."""
        for root, name in analysis.given:
            known = self._known(root)
            if name and known is not None and name not in known:
                yield Unreadable("unknown_field", f"there is no {quoted(f'{root}.{name}')}", name, known)
            if not name and any(root == of for of, _ in self._secret):
                message = f"'{root}' is read whole, and some of it is secret: name what is meant, {root}.NAME"
                yield Unreadable("secret_not_allowed", message)
        for read in analysis.fields:
            if self._is_described(read):
                yield from self._missing(read)
        if self.reads_secret(analysis):
            try:
                refuse_altered_given(text, self._secret)
            except SecretNotAllowedError as error:
                yield Unreadable(error.code, error.message)

    def unreadable_in(self, stage: Stage, analysis: Analysis) -> Iterator[Unreadable]:
        """What a template reads that is not there yet in this stage."""
        for root, name in analysis.given:
            if root == EXECUTION and name in OUTCOME_FIELDS and not is_hook(stage):
                yield Unreadable(
                    "unknown_field",
                    f"'execution.{name}' is known once the main nodes have ended: only nodes of 'on_failure' "
                    "and 'finally' read it",
                )

    def reads_secret(self, analysis: Analysis) -> bool:
        """Whether a template reads what is given and secret."""
        return not self._secret.isdisjoint(analysis.given)

    def roots(self, analysis: Analysis) -> Iterator[str]:
        """The names under which it reads what is given. A secret var is made where it is read, of all."""
        for read in analysis.given:
            yield read[0]
            if read[0] == VARS and read in self._secret:
                yield from self._of_secret_vars
            if read[0] == EXECUTION and read[1] in ("", *OUTCOME_FIELDS):
                yield OUTCOME

    def _known(self, root: str) -> tuple[str, ...] | None:
        """The names there; None where any may be."""
        if root == EXECUTION:
            return (*EXECUTION_FIELDS, *OUTCOME_FIELDS)
        if root == TRIGGER:
            return TRIGGER_FIELDS
        if root == VARS:
            return tuple(self._vars)
        return None if self._inputs is None else tuple(self._inputs)

    def may_be_absent(self, analysis: Analysis) -> Iterator[str]:
        """The inputs that a template must have and that need not be given."""
        for read in analysis.fields:
            one = (self._inputs or {}).get(str(read.keys[0])) if read.node == INPUTS else None
            if one is not None and len(read.keys) == 1 and not one.required and not one.has_default:
                yield str(read.keys[0])

    def uncertain_labels(self, analysis: Analysis) -> Iterator[str]:
        """The labels that a template must have, and that only the callers of some executions give."""
        for read in analysis.fields:
            if read.node == EXECUTION and read.keys[0] == LABELS and len(read.keys) > 1:
                name = str(read.keys[1])
                if name not in self._labels:
                    yield name

    def kinds(self, analysis: Analysis) -> frozenset[str] | None:
        """The JSON types that a template which is one input may give; None where that is not known."""
        if not analysis.is_sole or not analysis.is_simple or len(analysis.fields) != 1:
            return None
        (read,) = analysis.fields
        if read.node == EXECUTION and len(read.keys) == 1:
            return _EXECUTION_KINDS.get(str(read.keys[0]), frozenset({"string"}))
        if not self._is_described(read):
            return None
        root = part = self._schema_of(read)
        for key in read.keys[1:]:
            member = _member(part, key, root)
            if member is None:
                return None
            part = member
        return kinds_of(part, root)

    def _missing(self, read: FieldRead) -> Iterator[Unreadable]:
        """The first of the fields that an input, or a field of `trigger`, cannot have."""
        root = part = self._schema_of(read)
        label = f"{read.node}.{read.keys[0]}"
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

    def reads_outputs(self, analysis: Analysis) -> bool:
        """Whether a template must have what an end has given, which no other start gives."""
        return any(
            read.node == TRIGGER and read.keys[0] == "outputs" for read in analysis.fields if read.keys[1:]
        )

    def _is_described(self, read: FieldRead) -> bool:
        """Whether it is known what the first of these fields holds."""
        if read.node == TRIGGER:
            return read.keys[0] in _TRIGGER
        return read.node == INPUTS and self._inputs is not None and read.keys[0] in self._inputs

    def _schema_of(self, read: FieldRead) -> Schema:
        name = str(read.keys[0])
        return _TRIGGER[name] if read.node == TRIGGER else self._schema(name)

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
