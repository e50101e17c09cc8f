"""What has surely completed when a node runs, and warnings where that cannot be said."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow import Problem
from flowengine.workflow.policy import TriggerRule
from tests.support.documents import JsonObject, accepted, checked, node, reading, workflow


def warned(*nodes: JsonObject) -> list[Problem]:
    """The warnings of a document that is right."""
    return list(accepted(workflow(*nodes)).warnings)


def may_be_missing(*nodes: JsonObject) -> set[tuple[str, str]]:
    """Which reader is warned of which node."""
    found = [problem for problem in warned(*nodes) if problem.code == "may_be_missing"]
    return {tuple(problem.message.split("'")[1:4:2]) for problem in found}  # type: ignore[misc]  # pairs


def reader(node_id: str, template: str, *dependencies: str, **fields: JsonValue) -> JsonObject:
    """A node that reads so."""
    return {**reading(node_id, template, *dependencies), **fields}


# -- what is certain


def test_a_document_without_policies_has_no_warnings() -> None:
    """All that a node depends on has completed when it runs."""
    assert warned(node("a"), reader("b", "{{ a.result }}", "a"), reader("c", "{{ a.result }}", "b")) == []


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ("all_success", set()),
        ("none_failed", {("j", "a"), ("j", "b")}),
        ("none_failed_min_one_success", {("j", "a"), ("j", "b")}),
        ("all_done_min_one_success", {("j", "a"), ("j", "b")}),
        ("one_success", {("j", "a"), ("j", "b")}),
        ("all_done", {("j", "a"), ("j", "b")}),
        ("one_failed", {("j", "a"), ("j", "b")}),
        ("all_failed", {("j", "a"), ("j", "b")}),
    ],
)
def test_a_join_may_run_though_a_dependency_has_not_completed(
    rule: TriggerRule, missing: set[tuple[str, str]]
) -> None:
    """Under every rule but the default."""
    join = reader("j", "{{ a.result }}{{ b.result }}", "a", "b", trigger_rule=rule)
    assert may_be_missing(node("a"), node("b"), join) == missing


@pytest.mark.parametrize(
    ("rule", "certain"),
    [
        ("all_success", True),
        ("none_failed_min_one_success", True),
        ("all_done_min_one_success", True),
        ("one_success", True),
        ("none_failed", False),
        ("all_done", False),
        ("one_failed", False),
        ("all_failed", False),
    ],
)
def test_the_only_dependency_of_a_rule_that_asks_for_a_success_has_completed(
    rule: TriggerRule, certain: bool
) -> None:
    """And with it what it depends on."""
    j = reader("j", "{{ a.result }}{{ x.result }}", "a", trigger_rule=rule)
    assert may_be_missing(node("x"), node("a", "x"), j) == (set() if certain else {("j", "a"), ("j", "x")})


def test_what_both_branches_depend_on_has_completed_at_their_join() -> None:
    """One of them ran, whichever it was."""
    branches = [node("top"), node("a", "top"), node("b", "top")]
    join = reader("j", "{{ top.result }}{{ a.result }}", "a", "b", trigger_rule="none_failed_min_one_success")
    below = reader("k", "{{ j.result }}{{ top.result }}{{ b.result }}", "j")
    assert may_be_missing(*branches, join, below) == {("j", "a"), ("k", "b")}


def test_what_is_tolerated_may_be_missing() -> None:
    """Below it, though what is above it has completed."""
    nodes = [node("x"), node("a", "x", on_error="continue")]
    assert may_be_missing(*nodes, reader("b", "{{ a.result }}{{ x.result }}", "a")) == {("b", "a")}


def test_some_tolerated_codes_are_enough_for_doubt() -> None:
    """The failure may be one of them."""
    a = node("a", on_error={"continue": ["timeout"]})
    assert may_be_missing(a, reader("b", "{{ a.result }}", "a")) == {("b", "a")}


def test_a_one_success_asks_for_a_completion_that_is_not_tolerated() -> None:
    """Its only dependency has completed then."""
    a = node("a", on_error="continue")
    assert may_be_missing(a, reader("b", "{{ a.result }}", "a", trigger_rule="one_success")) == set()
    below = reader("b", "{{ a.result }}", "a", trigger_rule="all_done_min_one_success")
    assert may_be_missing(a, below) == {("b", "a")}


def test_a_dependency_of_its_own_makes_an_ancestor_certain_again() -> None:
    """`all_success` over both."""
    nodes = [node("a"), node("b"), node("j", "a", "b", trigger_rule="all_done")]
    assert may_be_missing(*nodes, reader("k", "{{ a.result }}", "j")) == {("k", "a")}
    assert may_be_missing(*nodes, reader("k", "{{ a.result }}", "j", "a")) == set()


def test_a_skip_goes_down_so_that_what_runs_below_all_success_is_certain() -> None:
    """A node with a condition that is read by a plain dependent: it ran, or the dependent does not."""
    a = node("a", when="{{ 1 == 1 }}")
    assert may_be_missing(a, reader("b", "{{ a.result }}", "a")) == set()


# -- what needs no warning


@pytest.mark.parametrize(
    "template",
    [
        "{{ a.result | default(0) }}",
        "{{ a.result | d(0) }}",
        "{{ 1 | default(a.result) }}",
        "{{ a.result is defined }}",
        "{{ a is undefined }}",
        "{{ statuses.a }}",
        "{{ errors.a.code | default('none') }}",
        "{{ statuses }}",
    ],
)
def test_what_lets_an_output_be_absent_is_not_warned_of(template: str) -> None:
    """Nor what asks for a fate."""
    join = reader("j", template, "a", "b", trigger_rule="all_done")
    assert may_be_missing(node("a"), node("b"), join) == set()


@pytest.mark.parametrize(
    "template",
    [
        "{{ a.result }}",
        "{{ a }}",
        '{{ nodes["a"].result }}',
        "{{ a.result + 1 }}",
        "{{ (a.result | default(0)) + a.result }}",
        "x {{ a.result }}",
    ],
)
def test_what_needs_an_output_is_warned_of(template: str) -> None:
    """Also where another place lets it be absent."""
    join = reader("j", template, "a", "b", trigger_rule="all_done")
    assert ("j", "a") in may_be_missing(node("a"), node("b"), join)


def test_a_warning_says_where_and_what_to_do() -> None:
    """And the document is accepted."""
    result = accepted(workflow(node("a", on_error="continue"), reader("b", "{{ a.result }}", "a")))
    (warning,) = result.warnings
    assert (warning.code, warning.pointer) == ("may_be_missing", "/nodes/1/config/input")
    assert warning.message == (
        "'b' may run though 'a' has not completed, and its output is missing then: give another value, as in "
        "{{ a.result | default(0) }}"
    )
    assert result.plan is not None


def test_a_condition_is_warned_of_in_its_place() -> None:
    """It is read first."""
    b = node("b", "a", when="{{ a.result > 1 }}")
    (warning,) = warned(node("a", on_error="continue"), b)
    assert (warning.code, warning.pointer) == ("may_be_missing", "/nodes/1/when")


def test_a_node_sees_the_fates_of_what_may_be_missing_and_of_what_it_asks_about() -> None:
    """The plan says so, so that a message can tell what became of it."""
    nodes = [
        node("a", on_error="continue"),
        node("b"),
        reader("c", "{{ a.result }}{{ b.result }}", "a", "b"),
        reader("d", "{{ statuses.b }}", "c"),
        reader("e", "{{ errors }}", "c"),
    ]
    plan = accepted(workflow(*nodes)).plan
    assert plan is not None
    assert [plan.policy(position).sees for position in (2, 3, 4)] == [(0,), (1,), (0, 1, 2)]
    assert [plan.nodes[position].work.reads for position in (2, 3, 4)] == [(0, 1), (), ()]


# -- what can be asked of


@pytest.mark.parametrize("template", ["{{ statuses.far }}", "{{ errors.far.code }}", '{{ statuses["far"] }}'])
def test_fates_of_nodes_that_do_not_exist_are_refused(template: str) -> None:
    """As their outputs are."""
    (problem,) = checked(workflow(node("a"), reader("b", template, "a"))).problems
    assert problem.code == "unknown_node_reference"


@pytest.mark.parametrize("template", ["{{ statuses.c }}", "{{ errors.b }}"])
def test_fates_of_nodes_that_are_no_ancestors_are_refused(template: str) -> None:
    """Nor is a node its own."""
    (problem,) = checked(workflow(node("a"), reader("b", template, "a"), node("c"))).problems
    assert problem.code == "not_an_ancestor"


# -- what can never run


@pytest.mark.parametrize("rule", ["one_failed", "all_failed"])
def test_a_rule_that_waits_for_a_failure_of_tolerated_nodes_is_warned_of(rule: str) -> None:
    """None of their failures counts as one."""
    nodes = [node("a", on_error="continue"), node("b", on_error="continue")]
    (warning,) = warned(*nodes, node("c", "a", "b", trigger_rule=rule))
    assert (warning.code, warning.pointer) == ("never_runs", "/nodes/2/trigger_rule")
    assert "statuses.NODE == 'failed'" in warning.message


@pytest.mark.parametrize("other", ["fail", {"continue": ["timeout"]}])
def test_one_dependency_that_may_fail_is_enough(other: JsonValue) -> None:
    """Or one of which some failures are not tolerated."""
    nodes = [node("a", on_error="continue"), node("b", on_error=other)]
    assert warned(*nodes, node("c", "a", "b", trigger_rule="one_failed")) == []
