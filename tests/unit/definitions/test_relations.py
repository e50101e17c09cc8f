"""What documents say of each other, and what is wrong with that."""

from __future__ import annotations

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.definitions.relations import Finding, Member, findings
from tests.support.documents import accepted, node, workflow

INPUTS: JsonValue = {"day": {"type": "string", "format": "date"}, "limit": {"type": "number", "default": 3}}


def calling(name: str, **config: JsonValue) -> dict[str, JsonValue]:
    """A node that runs a definition."""
    return {"id": "call", "handler": "workflow", "config": {"name": name, **config}}


def member(name: str, *nodes: JsonValue, inputs: JsonValue = None, **fields: JsonValue) -> Member:
    """A document of this name; what it declares is read as the validator does."""
    given = {"name": name, "inputs": inputs or {}}
    plan = accepted({**workflow(node("a")), **given}).plan
    assert plan is not None
    return Member(name, {"nodes": list(nodes), **given, **fields}, plan.inputs)


def told(*members: Member) -> list[tuple[int, str, str]]:
    """The findings: which document, which code, and where."""
    return [(each.member, each.problem.code, each.problem.pointer) for each in findings(members)]


def messages(*members: Member) -> list[str]:
    """What is said."""
    return [each.problem.message for each in findings(members)]


def test_definition_that_is_in_no_file_is_a_warning_with_the_nearest_name() -> None:
    """The stack may have it. A name that a template makes is known only later."""
    report = member("report")
    caller = member("caller", calling("reprot"), calling("{{ inputs.x }}"))
    (found,) = findings([caller, report])
    assert isinstance(found, Finding)
    assert (found.is_warning, found.problem.pointer) == (True, "/nodes/0/config/name")
    assert "did you mean 'report'?" in found.problem.message


def test_inputs_that_do_not_fit_are_problems() -> None:
    """Unknown ones, values of another type, and missing ones; values with templates may be right."""
    report = member("report", inputs=INPUTS)
    wrong = member("wrong", calling("report", inputs={"dai": "2026-01-01", "limit": "many"}))
    right = member("right", calling("report", inputs={"day": "{{ inputs.x }}", "limit": 5}))
    assert told(report, wrong, right) == [
        (1, "inputs_do_not_fit", "/nodes/0/config/inputs/dai"),
        (1, "inputs_do_not_fit", "/nodes/0/config/inputs/limit"),
        (1, "inputs_do_not_fit", "/nodes/0/config/inputs"),
    ]
    assert messages(report, wrong)[-1] == "'report' needs the input 'day': give it here"


def test_call_of_a_named_version_is_not_compared() -> None:
    """The file may be another one."""
    assert told(member("report", inputs=INPUTS), member("caller", calling("report", version=1))) == []


def test_a_schema_of_outputs_needs_some() -> None:
    """Of what the file says: another version may have them."""
    silent, telling = member("silent"), member("telling", outputs={"x": 1})
    checked: JsonValue = {**calling("silent"), "output_schema": {}}
    assert told(silent, member("caller", checked)) == [(1, "no_outputs", "/nodes/0/output_schema")]
    fine: list[JsonValue] = [
        {**calling("silent"), "output_schema": None},
        {**calling("telling"), "output_schema": {}},
        {**calling("silent", version=1), "output_schema": {}},
    ]
    assert told(silent, telling, member("caller", *fine)) == []


def test_nodes_of_groups_and_hooks_are_looked_at() -> None:
    """With their places."""
    group: JsonValue = {"id": "g", "nodes": [calling("gone")]}
    caller = member("caller", group, on_failure=[calling("gone")])
    assert [pointer for _, _, pointer in told(caller)] == [
        "/nodes/0/nodes/0/config/name",
        "/on_failure/0/config/name",
    ]


def test_chain_that_has_no_end_is_a_problem_of_each_document_in_it() -> None:
    """The message shows the way round; one that leads into it is none."""
    one = member("one", after=[{"workflow": "two"}])
    two = member("two", after=[{"workflow": "one"}])
    outside = member("outside", after=[{"workflow": "one"}])
    assert told(one, two, outside) == [
        (0, "chain_cycle", "/after/0/workflow"),
        (1, "chain_cycle", "/after/0/workflow"),
    ]
    assert messages(one, two)[0].endswith("'two' -> 'one' -> 'two'")


def test_chain_that_comes_back_through_a_node_has_no_end_either() -> None:
    """What follows runs what it follows; one that runs itself besides is told of both."""
    extract = member("extract")
    load = member("load", calling("extract"), after=[{"workflow": "extract"}])
    assert told(extract, load) == [(1, "chain_cycle", "/after/0/workflow")]
    assert messages(extract, load)[0].endswith("'extract' -> 'load' -> 'extract'")


def test_workflow_that_runs_itself_is_a_warning() -> None:
    """A condition may end it, and the limit of nesting does."""
    (found,) = findings([member("one", calling("one"))])
    assert (found.is_warning, found.problem.code) == (True, "runs_itself")
    assert found.problem.message.endswith("'one' -> 'one'")


def test_inputs_of_a_chain_are_compared_too() -> None:
    """They are of the document that follows: nothing else gives it any."""
    report = member("report", inputs={"limit": {"type": "number", "default": 1}})
    caller = member("late", after=[{"workflow": "report", "inputs": {"x": 1}}], inputs=INPUTS)
    assert told(report, caller) == [
        (1, "inputs_do_not_fit", "/after/0/inputs/x"),
        (1, "inputs_do_not_fit", "/after/0/inputs"),
    ]
