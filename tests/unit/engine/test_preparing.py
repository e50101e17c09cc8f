"""Executions of definitions, prepared where templates can be rendered."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.definitions.ports import Definition
from flowengine.engine.starting.preparing import given_of, prepare
from flowengine.execution.changes import StoredInputs
from flowengine.execution.definitions.records import VersionRecord
from flowengine.execution.prepared import Prepared
from flowengine.execution.rules.starting import Given
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.inputs.values import InputsInvalidError
from flowengine.workflow.plan import Plan
from tests.support.group_plans import plan_from

NOW = 1_772_352_000_000


def definition(plan: Plan) -> Definition:
    """Its third version."""
    record = VersionRecord(3, "value", "stored", len(plan.nodes), NOW, labels={"team": "data"})
    return Definition(plan.name, record, 3, plan, b"")


def node(node_id: str, **fields: JsonValue) -> JsonValue:
    """A node that gives a constant."""
    return {"id": node_id, "handler": "set", "config": {"value": 1}, **fields}


def test_what_is_prepared_survives_a_message() -> None:
    """Its inputs with defaults, its vars and the conditions that read these."""
    plan = plan_from(
        nodes=[node("a", when="{{ inputs.size > 1 }}")],
        inputs={"size": {"type": "integer"}, "twice": {"default": "{{ inputs.size * 2 }}"}},
        vars={"name": "{{ execution.id }}/{{ inputs.twice }}"},
    )
    prepared = prepare(definition(plan), "e1", {"size": 2}, "c1", NOW, "e0")
    carried = msgspec.json.decode(msgspec.json.encode(prepared), type=Prepared)
    assert (carried.name, carried.version, carried.labels) == (plan.name, 3, {"team": "data"})
    stored = StoredInputs(b'{"size":2,"twice":4}', vars=b'{"name":"e1/4"}')
    assert given_of(carried) == Given(stored, {"a": True})


def test_inputs_that_do_not_fit_prepare_nothing() -> None:
    """As for a caller of the API."""
    plan = plan_from(nodes=[node("a")], inputs={"size": {"type": "integer"}})
    with pytest.raises(InputsInvalidError, match="integer"):
        prepare(definition(plan), "e1", {"size": "much"}, "c1", NOW, "e0")


def test_a_workflow_without_inputs_needs_nothing_to_begin() -> None:
    """Nothing of it is stored then."""
    prepared = prepare(definition(plan_from(nodes=[node("a")])), "e1", {}, "c1", NOW, "e0")
    assert given_of(prepared) == Given()
