"""`after` of a document: what it says, and what is wrong with it."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.views.executions import TriggerView
from flowengine.jsonvalue import JsonValue
from flowengine.template.reference import TRIGGER_FIELDS
from flowengine.workflow.chains.circles import Lead, endless
from flowengine.workflow.chains.declared import MAX_AFTER, After
from tests.support.documents import checked, node, only, workflow

INPUTS: JsonValue = {"source": {"type": "string"}}


def test_what_is_not_said_has_defaults() -> None:
    """It follows the ends that have completed."""
    found = checked(workflow(node("a"), after=[{"workflow": "extract"}]))
    assert found.after == (After("extract", ("completed",)),)
    assert [(one.name, one.follows) for one in found.calls] == [("extract", True)]


def test_all_of_it_is_read() -> None:
    """Inputs with templates as they are written."""
    given: JsonValue = {"source": "{{ trigger.outputs.path }} {{ execution.correlation_id }}"}
    said: JsonValue = [{"workflow": "e", "status": ["failed", "cancelled"], "inputs": given}]
    (found,) = checked(workflow(node("a"), inputs=INPUTS, after=said)).after
    assert found.status == ("failed", "cancelled")
    assert msgspec.json.decode(found.inputs) == given


@pytest.mark.parametrize(
    ("said", "code", "pointer"),
    [
        ("extract", "wrong_type", "/after"),
        (["extract"], "wrong_type", "/after/0"),
        ([{"workflow": f"w{at}"} for at in range(MAX_AFTER + 1)], "out_of_range", "/after"),
        ([{}], "missing_field", "/after/0/workflow"),
        ([{"workflow": 1}], "wrong_type", "/after/0/workflow"),
        ([{"workflow": "{{ x }}"}], "template_forbidden", "/after/0/workflow"),
        ([{"workflow": " "}], "invalid_name", "/after/0/workflow"),
        ([{"workflow": "test"}], "chain_cycle", "/after/0/workflow"),
        ([{"workflow": "e", "status": "failed"}], "wrong_type", "/after/0/status"),
        ([{"workflow": "e", "status": []}], "wrong_type", "/after/0/status"),
        ([{"workflow": "e", "status": ["complete"]}], "invalid_value", "/after/0/status/0"),
        ([{"workflow": "e"}, {"workflow": "e"}], "not_together", "/after/1"),
        ([{"workflow": "e", "on": ["failed"]}], "unknown_field", "/after/0/on"),
        ([{"workflow": "e", "inputs": 1}], "wrong_type", "/after/0/inputs"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(said: JsonValue, code: str, pointer: str) -> None:
    """Each as other fields are."""
    problem = only(checked(workflow(node("a"), name="test", after=said)))
    assert (problem.code, problem.pointer) == (code, pointer)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ trigger.output }}", "unknown_field"),
        ("{{ inputs.source }}", "template_forbidden"),
        ("{{ a.result }}", "unknown_node_reference"),
        ("{{ secrets.KEY }}", "secret_not_allowed"),
    ],
)
def test_inputs_read_the_end_and_the_execution_only(text: str, code: str) -> None:
    """What else there is comes later."""
    said: JsonValue = [{"workflow": "e", "inputs": {"source": text}}]
    assert only(checked(workflow(node("a"), inputs=INPUTS, after=said))).code == code


def test_inputs_are_checked_as_far_as_they_are_known() -> None:
    """What is required, what does not exist, and what is of the wrong type."""
    said: JsonValue = [{"workflow": "e"}, {"workflow": "f", "inputs": {"source": 1, "x": 1}}]
    found = checked(workflow(node("a"), inputs=INPUTS, after=said)).problems
    assert [(one.code, one.pointer) for one in found] == [
        ("missing_input", "/after/0"),
        ("invalid_input", "/after/1/inputs/source"),
        ("unknown_input", "/after/1/inputs/x"),
    ]


def placed(text: str) -> list[dict[str, JsonValue]]:
    """Documents that hold this template, each in another place."""
    inner = node("b", config={"input": text, "transform_type": "to_text"})
    given: JsonValue = {"cron": "@daily", "inputs": {"i": text}}
    return [
        {"nodes": [inner]},
        {"nodes": [node("a", when=f"{text[:-3]} is defined }}}}")]},
        {"nodes": [{"id": "g", "nodes": [inner]}]},
        {"nodes": [node("a", map={"items": f"{{{{ [{text[2:-2]}] }}}}"})]},
        {"nodes": [node("a", concurrency={"key": text, "limit": 1})]},
        {"nodes": [node("a")], "finally": [inner]},
        {"nodes": [node("a")], "outputs": {"o": text}},
        {"nodes": [node("a")], "vars": {"v": text}},
        {"nodes": [node("a")], "inputs": {"i": {"default": text}}},
        {"nodes": [node("a")], "inputs": {"i": {}}, "schedules": [given]},
        {"nodes": [node("a")], "concurrency": {"key": text, "limit": 1}},
    ]


@pytest.mark.parametrize("more", placed("{{ trigger.kind }}"))
def test_all_expressions_read_the_trigger(more: dict[str, JsonValue]) -> None:
    """As they read `execution`."""
    found = checked({"name": "test", **more})
    assert not found.problems
    assert found.plan is not None


@pytest.mark.parametrize("more", placed("{{ trigger.knd }}"))
def test_a_field_that_no_trigger_has_is_refused_with_the_nearest_name(more: dict[str, JsonValue]) -> None:
    """Wherever it is read."""
    problem = only(checked({"name": "test", **more}))
    assert problem.code == "unknown_field"
    assert "did you mean 'kind'?" in problem.message


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("{{ trigger.status.code }}", "unknown_field", "trigger.status is null or text, which has no 'code'"),
        ("{{ trigger.outputs[0] }}", "unknown_field", "trigger.outputs is an object or null, which has no 0"),
    ],
)
def test_what_the_fields_of_a_trigger_hold_is_known(text: str, code: str, word: str) -> None:
    """So a field of a text is refused before anything runs."""
    document: dict[str, JsonValue] = {
        "name": "test",
        "nodes": [node("a", config={"input": text, "transform_type": "to_text"})],
    }
    problem = only(checked(document))
    assert (problem.code, word in problem.message) == (code, True), problem.message


@pytest.mark.parametrize(
    ("text", "warns"),
    [("{{ trigger.outputs.path }}", True), ("{{ trigger.outputs.path | default('') }}", False)],
)
def test_outputs_that_need_not_be_there_are_warned_of(text: str, warns: bool) -> None:
    """Any applied definition may be started by hand, too."""
    document: dict[str, JsonValue] = {
        "name": "test",
        "nodes": [node("a", config={"input": text, "transform_type": "to_text"})],
    }
    found = checked(document)
    assert not found.problems
    assert [each.code for each in found.warnings] == (["may_be_missing"] if warns else [])


def test_the_trigger_has_the_fields_that_the_api_tells() -> None:
    """One thing, with one list of names."""
    assert TriggerView.__struct_fields__ == TRIGGER_FIELDS


def test_the_shortest_way_round_with_an_end_on_it_is_found() -> None:
    """Ways of nodes alone are none."""
    leads = {"a": [Lead("b", False), Lead("c", False)], "b": [Lead("a", False)], "c": [Lead("a", True)]}
    assert endless("a", lambda names: {name: leads[name] for name in names}) == ["a", "c", "a"]
    assert endless("b", lambda names: {name: leads[name] for name in names}) == ["b", "a", "c", "a", "b"]
    del leads["c"][0]
    assert endless("a", lambda names: {name: leads[name] for name in names}) is None
