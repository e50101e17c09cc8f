"""What a test expects and what came: each difference is told, and nothing else."""

from __future__ import annotations

from flowengine.jsonvalue import JsonValue
from flowengine.settings import Settings
from flowengine.testing.cases.case_file import Expected, ExpectedCalls, ExpectedNode
from flowengine.testing.judging.difference import Difference, differences
from flowengine.testing.judging.report import lines_of
from flowengine.testing.judging.verdict import judge
from flowengine.testing.running.finished_run import Run
from flowengine.testing.running.workbench import Setting, Workbench
from tests.support.documents import JsonObject, catalog, checked, node, workflow

CALL: JsonObject = {"id": "call", "handler": "set", "config": {"value": {"a": [1, True], "b": "x"}}}
FAILS: JsonObject = {
    "id": "fails",
    "handler": "assert",
    "config": {"that": "{{ 1 == 2 }}"},
    "on_error": "continue",
}
WAITS: JsonObject = {"id": "waits", "handler": "wait", "config": {"seconds": 90}}


def ran(*nodes: JsonObject, **given: JsonValue) -> Run:
    """A run of these nodes."""
    plan = checked(workflow(*nodes, **given)).plan
    assert plan is not None
    with Workbench(catalog(), Settings(), {}) as workbench:
        return workbench.run(plan, Setting())


def places(expected: Expected, run: Run) -> list[str]:
    """Where something is another."""
    return [each.place for each in judge(expected, run)]


def differing(expected: JsonValue, actual: JsonValue, *, partly: bool = False) -> list[str]:
    """The places of two values that differ."""
    return [each.place for each in differences("x", expected, actual, partly=partly)]


def test_values_differ_where_their_leaves_do() -> None:
    """As JSON: true is not 1, but 1.0 is; lists of other lengths are others as a whole."""
    assert differing({"a": [1, 2]}, {"a": [1, 3]}) == ["x.a[1]"]
    assert differing([1], [1, 2]) == ["x"]
    assert differing(True, 1) == ["x"]
    assert differing(1.0, 1) == []
    assert differing(None, {}) == ["x"]


def test_more_than_is_expected_counts_only_of_a_whole() -> None:
    """Of a part, other fields are nobody's business, at any depth."""
    assert differing({"a": {}}, {"a": {"b": 1}, "c": 1}, partly=True) == []
    assert differing({"a": {}}, {"a": {"b": 1}, "c": 1}) == ["x.a.b", "x.c"]
    assert differing({"a": 1}, {}, partly=True) == ["x.a"]


def test_what_is_expected_of_a_node_is_compared() -> None:
    """Its status, result, output, error and tries."""
    run = ran(CALL, FAILS)
    right = {
        "call": ExpectedNode(status="completed", result={"a": [1, True], "b": "x"}, attempts=1),
        "fails": ExpectedNode(status="failed", error="assertion_failed", tolerated=True),
    }
    assert places(Expected(nodes=right), run) == []
    wrong = {
        "call": ExpectedNode(
            status="skipped", result={"a": [1, True]}, output={"result": {"b": "y"}}, attempts=2
        ),
        "fails": ExpectedNode(result=1, error="http_5xx", tolerated=False),
    }
    assert places(Expected(nodes=wrong), run) == [
        "nodes.call",
        "nodes.call.attempts",
        "nodes.call.result.b",
        "nodes.call.output.result.b",
        "nodes.fails.tolerated",
        "nodes.fails.error",
        "nodes.fails.result",
    ]


def test_what_is_expected_of_calls_is_compared() -> None:
    """How many there were, and the config of each."""
    run = ran(CALL)
    config: JsonObject = {"value": {"b": "x"}}
    assert (
        places(Expected(calls={"call": ExpectedCalls(count=1, config=config, configs=[config])}), run) == []
    )
    assert places(Expected(calls={"call": 2}), run) == ["calls.call.count"]
    other: JsonObject = {"value": {"b": "y"}}
    assert places(Expected(calls={"call": ExpectedCalls(config=other)}), run) == ["calls.call.config.value.b"]
    assert places(Expected(calls={"call": ExpectedCalls(configs=[])}), run) == ["calls.call.configs"]
    skipped = ran(node("never", when="{{ 1 == 2 }}"))
    never = Expected(calls={"never": ExpectedCalls(config=config)})
    assert places(never, skipped) == ["calls.never.config"]


def test_what_is_expected_of_the_execution_is_compared() -> None:
    """How it ends, what it gives, and how long it takes by its own clock."""
    run = ran(CALL, WAITS, outputs={"given": "{{ call.result.b }}"})
    assert places(Expected(outputs={"given": "x"}, within="90s"), run) == []
    assert places(Expected(outputs={"given": "y", "other": 1}, within=89), run) == [
        "outputs.given",
        "outputs.other",
        "within",
    ]
    assert places(Expected(status="failed", error="boom"), run) == ["status", "error"]
    assert places(Expected(refused="inputs_invalid"), run) == ["start"]


def test_a_node_of_a_group_that_did_not_run_is_told() -> None:
    """It never came into being."""
    group: JsonObject = {"id": "box", "nodes": [node("inner")], "when": "{{ 1 == 2 }}"}
    assert places(Expected(nodes={"box.inner": "completed"}), ran(group)) == ["nodes.box.inner"]


def test_long_values_stand_below_their_place() -> None:
    """Short ones beside it; and how the node was called stands below them all."""
    run = ran(CALL)
    found = [Difference("nodes.call.result", "x" * 50, "y", "call"), Difference("status", "a", "b")]
    assert list(lines_of(found, run)) == [
        "          expected  actual",
        "  nodes.call.result",
        f"      expected  {'x' * 50}",
        "      actual    y",
        "  status  a         b",
        "  call was called with (call 1 of 1):",
        '      {"value":{"a":[1,true],"b":"x"}}',
    ]
    many = [Difference(str(number), 1, 2) for number in range(30)]
    assert "  and 10 more" in list(lines_of(many, run))
