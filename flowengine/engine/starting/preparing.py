"""Prepares executions of definitions where templates can be rendered, for those who cannot."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from flowengine.engine.definitions.ports import Definition
from flowengine.engine.starting.beginning import beginning
from flowengine.execution.changes import StoredInputs
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.starting import Given
from flowengine.jsonvalue import JsonValue


def record_of(found: Definition, prepared: Prepared, correlation_id: str) -> ExecutionRecord:
    """The record of a prepared execution before it begins."""
    return ExecutionRecord(
        status="pending",
        run=0,
        total=len(found.plan.main),
        created_at=prepared.at,
        started_at=0,
        finished_at=0,
        correlation_id=correlation_id,
        name=found.name,
        token="",
        labels=prepared.labels,
        version=found.version,
    )


def prepare(
    found: Definition,
    execution: str,
    values: Mapping[str, JsonValue],
    correlation_id: str,
    now: int,
    begun_by: str,
) -> Prepared:
    """What an execution of this id begins with that is given these inputs, and has the definition's labels.
    `begun_by`: the execution whose node begins it, as a child of it or apart from it.

    Raises InputsInvalidError, VarsInvalidError.
    """
    plain = Prepared(execution, found.name, found.version, now, labels=found.record.labels)
    record = record_of(found, plain, correlation_id)
    parent = begun_by if is_child(execution) else None
    if parent is None:
        record = replace(record, begun_by=begun_by)
    given = beginning(execution, found.plan, record, values, now, parent=parent, stores=bool(values))
    if given is None:
        return plain
    prepared = replace(plain, conditions=given.conditions, key=given.key, keys=given.keys)
    stored = given.inputs
    if stored is None:
        return prepared
    return replace(
        prepared,
        inputs=msgspec.Raw(stored.values),
        secret=stored.secret,
        vars=_raw(stored.vars),
        late=_raw(stored.late),
    )


def given_of(prepared: Prepared) -> Given:
    """What its first run begins with."""
    inputs = None
    if not isinstance(prepared.inputs, msgspec.UnsetType):
        inputs = StoredInputs(
            bytes(prepared.inputs), prepared.secret, vars=_bytes(prepared.vars), late=_bytes(prepared.late)
        )
    return Given(inputs, prepared.conditions, key=prepared.key, keys=prepared.keys)


def _raw(data: bytes) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.Raw(data) if data else msgspec.UNSET


def _bytes(data: msgspec.Raw | msgspec.UnsetType) -> bytes:
    return b"" if isinstance(data, msgspec.UnsetType) else bytes(data)
