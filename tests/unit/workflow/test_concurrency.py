"""`concurrency` of a document: what it may say, and the key that an execution stands under."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow import Checked
from flowengine.workflow.inputs.beginning import VarsInvalidError, begin, key_of_another_run
from flowengine.workflow.inputs.values import Occasion
from flowengine.workflow.limits.declared import (
    Concurrency,
    KeyTemplates,
    MadeKeys,
    NodeConcurrency,
    RateLimit,
)
from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from flowengine.workflow.policy import Policy, Retry
from tests.support.documents import JsonObject, checked, node, only, workflow

OCCASION = Occasion({"id": "e1", "name": "test", "run": 1, "labels": {"team": "data"}}, 1_772_366_400_000)
INPUTS: JsonObject = {
    "day": {"type": "string"},
    "count": {"type": "integer", "default": 3},
    "token": {"type": "string", "secret": True, "required": False},
}


def document(**concurrency: JsonValue) -> Checked:
    """What the validator says of a document with this limit."""
    fields: JsonObject = {"inputs": INPUTS, "vars": {"url": "x/{{ inputs.day }}", "key": "{{ secrets.K }}"}}
    return checked(workflow(node("a"), concurrency=concurrency, **fields))


def plan_of(**concurrency: JsonValue) -> Plan:
    """The plan of a right one, stored and read again."""
    return right(document(**concurrency))


def right(found: Checked) -> Plan:
    """The plan of a document that is right, stored and read again."""
    assert found.plan is not None, found.problems
    return decode_plan(encode_plan(found.plan))


def test_the_plan_has_what_the_document_says() -> None:
    """A number is a key as well; what is left out has its default."""
    assert plan_of(limit=2).overall.concurrency == Concurrency(2)
    full = plan_of(limit=1000, key=7, on_limit="cancel_oldest", shared=True).overall.concurrency
    assert full == Concurrency(1000, "7", "cancel_oldest", True)
    assert right(checked(workflow(node("a"), concurrency=None))).overall.concurrency is None


@pytest.mark.parametrize(
    ("said", "code", "pointer"),
    [
        ({}, "missing_field", "/limit"),
        ({"limit": 0}, "out_of_range", "/limit"),
        ({"limit": 1001}, "out_of_range", "/limit"),
        ({"limit": 1.5}, "wrong_type", "/limit"),
        ({"limit": True}, "wrong_type", "/limit"),
        ({"limit": 1, "on_limit": "quque"}, "invalid_value", "/on_limit"),
        ({"limit": 1, "on_limit": 1}, "wrong_type", "/on_limit"),
        ({"limit": 1, "shared": "yes"}, "wrong_type", "/shared"),
        ({"limit": 1, "kye": "x"}, "unknown_field", "/kye"),
        ({"limit": 1, "key": ["x"]}, "wrong_type", "/key"),
        ({"limit": 1, "key": " "}, "invalid_key", "/key"),
        ({"limit": 1, "key": "x" * 201}, "invalid_key", "/key"),
        ({"limit": 1, "key": "a\tb"}, "invalid_key", "/key"),
        ({"limit": 1, "key": "{{ a.result }}"}, "unknown_node_reference", "/key"),
        ({"limit": 1, "key": "{{ inputs.dya }}"}, "unknown_field", "/key"),
        ({"limit": 1, "key": "{{ inputs.token }}"}, "secret_not_allowed", "/key"),
        ({"limit": 1, "key": "{{ secrets.K }}"}, "secret_not_allowed", "/key"),
        ({"limit": 1, "key": "{{ vars.key }}"}, "secret_not_allowed", "/key"),
        ({"limit": 1, "key": "{{ execution.error }}"}, "unknown_field", "/key"),
        ({"limit": 1, "key": "{{ inputs.day"}, "template_syntax", "/key"),
    ],
)
def test_a_wrong_value_is_placed(said: JsonObject, code: str, pointer: str) -> None:
    """Each problem says where it is."""
    problem = only(document(**said))
    assert (problem.code, problem.pointer) == (code, f"/concurrency{pointer}")


def test_a_near_word_is_named() -> None:
    """`quque` is meant to be `queue`."""
    assert "did you mean 'queue'?" in only(document(limit=1, on_limit="quque")).message


@pytest.mark.parametrize(
    ("key", "made"),
    [
        ("{{ inputs.day }}", "2026-03-01"),
        ("{{ vars.url }}", "x/2026-03-01"),
        ("{{ inputs.count }}", "3"),
        ("{{ execution.labels.team }}-{{ inputs.count }}", "data-3"),
        ("{{ inputs.count > 2 }}", "true"),
        ("plain", None),
    ],
)
def test_the_key_is_made_of_what_is_given(key: str, made: str | None) -> None:
    """At the trigger. One without a template needs no making."""
    plan = plan_of(limit=1, key=key)
    assert begin(plan, {"day": "2026-03-01"}, OCCASION).key == made


@pytest.mark.parametrize("key", ["{{ inputs.token }}x", "{{ [1] }}", "{{ none }}", "{{ inputs.day }}"])
def test_a_key_that_cannot_be_made_is_refused(key: str) -> None:
    """With its place: it is no text, or empty, or reads what was not given."""
    if "token" in key:
        assert only(document(limit=1, key=key)).code == "secret_not_allowed"
        return
    with pytest.raises(VarsInvalidError) as refused:
        begin(plan_of(limit=1, key=key), {"day": ""}, OCCASION)
    (problem,) = refused.value.problems
    assert (problem.code, problem.pointer) == ("key_invalid", "/concurrency/key")


def test_the_key_of_another_run_is_made_of_its_inputs() -> None:
    """Where these have changed."""
    plan = plan_of(limit=1, key="{{ inputs.day }}")
    assert key_of_another_run(plan, {"day": "x"}, {}, OCCASION) == "x"


@pytest.mark.parametrize(
    ("field", "said", "code", "pointer"),
    [
        ("concurrency", {}, "missing_field", "/limit"),
        ("concurrency", {"limit": 1, "key": "{{ b.result }}"}, "unknown_node_reference", "/key"),
        ("concurrency", {"limit": 1, "key": "{{ secrets.K }}"}, "secret_not_allowed", "/key"),
        ("concurrency", {"limit": 1, "key": "{{ item }}"}, "unknown_node_reference", "/key"),
        ("concurrency", {"limit": 1, "on_limit": "queue"}, "unknown_field", "/on_limit"),
        ("concurrency", {"limit": 1001}, "out_of_range", "/limit"),
        ("concurrency", 3, "wrong_type", ""),
        ("rate_limit", {"limit": 1}, "missing_field", "/per_seconds"),
        ("rate_limit", {"per_seconds": 1}, "missing_field", "/limit"),
        ("rate_limit", {"limit": 10_001, "per_seconds": 1}, "out_of_range", "/limit"),
        ("rate_limit", {"limit": 1, "per_seconds": 0}, "out_of_range", "/per_seconds"),
        ("rate_limit", {"limit": 1, "per_seconds": "1m"}, "wrong_type", "/per_seconds"),
        ("rate_limit", {"limit": 1, "per_seconds": 1, "key": ""}, "invalid_key", "/key"),
        ("rate_limit", {"limit": 1, "per_seconds": 1, "key": "{{ a }}"}, "not_an_ancestor", "/key"),
        ("rate_limit", {"limit": 1, "per_seconds": 1, "key": "{{"}, "template_syntax", "/key"),
    ],
)
def test_a_wrong_limit_of_a_node_is_placed(field: str, said: JsonValue, code: str, pointer: str) -> None:
    """Each problem says where it is."""
    problem = only(checked(workflow(node("a", **{field: said}))))
    assert (problem.code, problem.pointer) == (code, f"/nodes/0/{field}{pointer}")


@pytest.mark.parametrize("field", ["concurrency", "rate_limit"])
def test_the_key_of_a_nodes_limit_is_made_at_the_trigger(field: str) -> None:
    """Of inputs, vars and the execution; numbers become texts."""
    said: JsonObject = {"limit": 1, "key": "{{ inputs.day }}-{{ vars.part }}"}
    said |= {"per_seconds": 1} if field == "rate_limit" else {}
    document = workflow(node("a", **{field: said}), node("b"), vars={"part": 7})
    plan = right(checked(document))
    wanted = MadeKeys("x-7") if field == "concurrency" else MadeKeys(None, "x-7")
    assert begin(plan, {"day": "x"}, OCCASION).keys == {"a": wanted}
    with pytest.raises(VarsInvalidError) as wrong:
        begin(plan, {"day": "x" * 200}, OCCASION)
    (problem,) = wrong.value.problems
    assert (problem.code, problem.pointer) == ("key_invalid", f"/nodes/0/{field}/key")


def test_a_key_of_a_hook_that_is_wrong_is_placed_among_the_hooks() -> None:
    """Not among the main nodes, behind which a plan has it."""
    hook = node("last", concurrency={"limit": 1, "key": "{{ inputs.day }}"})
    hooks: JsonObject = {"on_failure": [node("tell")], "finally": [node("first"), hook]}
    document = workflow(node("a"), **hooks)
    with pytest.raises(VarsInvalidError) as wrong:
        begin(right(checked(document)), {"day": "x" * 201}, OCCASION)
    (problem,) = wrong.value.problems
    assert (problem.code, problem.pointer) == ("key_invalid", "/finally/1/concurrency/key")


@pytest.mark.parametrize("key", ["{{ a.result }}", "{{ a.result }}-{{ inputs.day }}", "{{ statuses.a }}"])
def test_a_key_that_reads_nodes_is_made_when_its_node_is_due(key: str) -> None:
    """Not at the trigger, nor those of its other limit. The node reads what the key reads."""
    both: JsonObject = {
        "concurrency": {"limit": 1, "key": key},
        "rate_limit": {"limit": 1, "per_seconds": 1, "key": "{{ inputs.day }}"},
    }
    plan = right(checked(workflow(node("a"), node("b", "a", **both))))
    assert plan.policy(1).late_keys
    assert not plan.keyed
    assert begin(plan, {"day": "x"}, OCCASION).keys == {}
    assert plan.policy(1).keys_to_make(None) == KeyTemplates(key, "{{ inputs.day }}")
    assert plan.policy(1).keys_to_make(MadeKeys("x", "y", 1)) is None
    assert plan.nodes[1].work.reads == ((0,) if "result" in key else ())
    assert plan.policy(1).sees == (() if "result" in key else (0,))


def test_the_key_of_a_hook_may_read_how_the_execution_has_ended() -> None:
    """Which is not known at the trigger."""
    hook = node("last", concurrency={"limit": 1, "key": "{{ execution.status }}"})
    hooks: JsonObject = {"finally": [hook]}
    plan = right(checked(workflow(node("a"), **hooks)))
    assert plan.policy(1).late_keys


@pytest.mark.parametrize("key", ["{{ inputs.day }}", "{{ item.region }}", "{{ outer.result }}"])
def test_keys_of_nodes_in_a_group_are_made_when_these_are_due(key: str) -> None:
    """They read all that the group reads, the item of a map around it too."""
    inside: JsonObject = {
        "id": "all",
        "dependencies": ["outer"],
        "map": {"items": [{"region": "eu"}]},
        "nodes": [node("a", concurrency={"limit": 1, "key": key})],
    }
    plan = right(checked(workflow(node("outer"), inside)))
    (policy,) = plan.group_at((1,)).policies.values()
    assert policy.late_keys
    assert policy.keys_to_make(None) == KeyTemplates(key)
    assert bool(policy.items) == ("item" in key)
    assert bool(policy.outer) == ("outer" in key)


@pytest.mark.parametrize("name", ["iteration", "previous", "item"])
def test_a_key_reads_nothing_that_changes_in_its_node(name: str) -> None:
    """It is made once, before the first iteration."""
    said: JsonObject = {"limit": 1, "key": f"{{{{ {name} }}}}"}
    repeats: JsonObject = {"until": "{{ iteration > 1 }}"}
    problem = only(checked(workflow(node("a", concurrency=said, repeat=repeats))))
    assert (problem.code, problem.pointer) == ("unknown_node_reference", "/nodes/0/concurrency/key")


def test_the_limits_of_a_node_are_in_its_policy() -> None:
    """Of an HTTP node whose starts are limited the engine tries again, so that each try counts."""
    limits: JsonObject = {
        "concurrency": {"limit": 2, "key": "crm"},
        "rate_limit": {"limit": 60, "per_seconds": 0.5},
    }
    calls: JsonObject = {"id": "b", "handler": "http_request", "config": {"url": "http://x/"}, **limits}
    plan = right(checked(workflow(node("a", **limits), calls)))
    assert plan.policy(0) == Policy(concurrency=NodeConcurrency(2, "crm"), rate_limit=RateLimit(60, 500))
    assert plan.policy(1).retry == Retry()
    assert plan.limited == {0, 1}


@pytest.mark.parametrize("field", ["concurrency", "rate_limit"])
def test_an_end_takes_no_limit(field: str) -> None:
    """It ends its execution, no matter who else runs."""
    said: JsonObject = {"limit": 1, "per_seconds": 1} if field == "rate_limit" else {"limit": 1}
    end: JsonObject = {"id": "a", "handler": "end", "config": {}, field: said}
    assert only(checked(workflow(end))).code == "not_with_end"


def test_the_items_of_a_map_without_a_key_stand_under_their_workflow() -> None:
    """They run in children, and other workflows may have a map of the same name."""
    limited = node("a", map={"items": [1]}, concurrency={"limit": 1})
    group: JsonObject = {"id": "g", "map": {"items": [1]}, "nodes": [node("b")], "concurrency": {"limit": 1}}
    plan = right(checked(workflow(limited, group, name="one")))
    inner = [plan.group_at((position,)).policy(0).concurrency for position in (0, 1)]
    assert inner == [NodeConcurrency(1, None, "one\ta"), NodeConcurrency(1, None, "one\tg")]
