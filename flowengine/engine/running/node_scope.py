"""What the templates of one node read, made of what its worker was told at the start."""

from __future__ import annotations

from collections.abc import Callable

from flowengine import jsonvalue
from flowengine.engine.ports import Given, Start
from flowengine.engine.running.conditions import shown_error
from flowengine.execution.execution_fields import execution_fields
from flowengine.execution.messages import EXECUTION, INPUTS, RunNode
from flowengine.execution.records import NodeRecord
from flowengine.jsonvalue import JsonValue
from flowengine.template import Fate, Scope


def node_scope(task: RunNode, start: Start, secrets: Callable[[str], str]) -> Scope:
    """What the node's templates read."""
    return Scope(
        outputs={node: jsonvalue.decode(data) for node, data in start.inputs.items()},
        primaries={read.node: read.primary for read in task.reads},
        secrets=secrets,
        fates={node: _fate(record) for node, record in start.fates.items()},
        unseen=task.unseen,
        given=_given(task, start.given) if task.given else {},
        moment=task.moment or start.now,
        seed=idempotency_key(task),
    )


def idempotency_key(task: RunNode) -> str:
    """What a service may tell a repeated call by."""
    return f"{task.execution}-{task.answered + 1}-{task.node}"


def secret_inputs(given: Given) -> list[str]:
    """The texts that must not be shown."""
    if not given.secret:
        return []
    values = _values(given)
    return [value for name in given.secret if isinstance(value := values.get(name), str)]


def _given(task: RunNode, given: Given) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    if INPUTS in task.given:
        found[INPUTS] = _values(given)
    if given.execution is not None:
        found[EXECUTION] = execution_fields(task.execution, given.execution, task.run)
    return found


def _values(given: Given) -> dict[str, JsonValue]:
    values = {} if given.inputs is None else jsonvalue.decode(given.inputs)
    return values if isinstance(values, dict) else {}


def _fate(record: NodeRecord) -> Fate:
    """What became of a node, as templates see it."""
    error = record.error
    if record.status != "failed" or error is None:
        return Fate(record.status)
    return Fate(record.status, shown_error(error))
