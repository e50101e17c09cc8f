"""What a node says about when it runs and what becomes of its failure: what is read, and what is refused."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.policy import TRIGGER_RULES, Policy, Retry
from tests.support.documents import JsonObject, accepted, checked, codes, node, only, workflow

MONTH_S = 2_592_000
LOCKED = "{{ 'locked' in error.message }}"
CHOICE: JsonObject = {"except": ["http_501"]}
"""A word of Python."""


def policy(**fields: JsonValue) -> Policy:
    """That of a node with these fields, below two others."""
    result = accepted(workflow(node("a"), node("b"), node("n", "a", "b", **fields)))
    assert result.plan is not None
    return result.plan.policy(2)


def retry(**fields: JsonValue) -> Retry:
    """A `retry` of these fields, as it was understood."""
    found = policy(retry=fields).retry
    assert found is not None
    return found


# -- what is read


def test_a_node_that_says_nothing_has_no_policy() -> None:
    """Nor does one that says what would hold anyway: the plan is that of an earlier version."""
    said: JsonObject = {"trigger_rule": "all_success", "when": None, "retry": None, "on_error": "fail"}
    for fields in ({}, said, {"on_error": None}):
        plan = accepted(workflow(node("a"), node("n", "a", **fields))).plan
        assert plan is not None
        assert plan.policies == {}


@pytest.mark.parametrize("rule", TRIGGER_RULES)
def test_every_rule_can_be_named(rule: str) -> None:
    """By its name."""
    assert policy(trigger_rule=rule).trigger_rule == rule


FREE = ("all_success", "none_failed", "all_done")
NEEDING = [rule for rule in TRIGGER_RULES if rule not in FREE]


@pytest.mark.parametrize("rule", FREE)
def test_rules_that_need_no_dependency_may_have_none(rule: str) -> None:
    """They run."""
    accepted(workflow(node("a", trigger_rule=rule)))


def test_a_condition_is_carried_as_it_was_written() -> None:
    """The worker renders it."""
    assert policy(when="{{ a.result > 1 }}").when == "{{ a.result > 1 }}"


def test_what_a_retry_leaves_out_has_its_default() -> None:
    """Three tries, a second, twice as long each time, a minute at most, a day in all."""
    assert retry() == Retry(3, 1000, 2.0, 60_000, 0.0, 86_400_000, (), (), None)


def test_each_field_of_a_retry_is_read() -> None:
    """Seconds may be fractions."""
    found = retry(
        max_attempts=5,
        delay_seconds=0.25,
        multiplier=1.5,
        max_delay_seconds=7,
        jitter=0.2,
        max_seconds=600,
        only=["timeout", "http_5xx"],
        when=LOCKED,
        **CHOICE,
    )
    assert found == Retry(5, 250, 1.5, 7000, 0.2, 600_000, ("timeout", "http_5xx"), ("http_501",), LOCKED)


def test_a_condition_for_another_try_reads_what_the_node_may_read() -> None:
    """And the error and the number of the try; the worker gets these outputs too."""
    said: JsonObject = {
        "when": "{{ attempt < a.result and error.code != 'boom' and statuses.b == 'failed' }}"
    }
    document = workflow(node("a"), node("b", on_error="continue"), node("n", "a", "b", retry=said))
    plan = accepted(document).plan
    assert plan is not None
    assert plan.nodes[2].work.reads == (0,)
    assert plan.policy(2).sees == (1,)


@pytest.mark.parametrize(
    ("when", "warned"),
    [
        ("{{ error.status_code == 423 }}", True),
        ("{{ error.status_code | default(0) == 423 }}", False),
        ("{{ error.status_code is defined and error.status_code == 423 }}", False),
        ("{{ 'x' in error.message }}", False),
    ],
)
def test_a_status_that_may_be_missing_is_warned_of(when: str, warned: bool) -> None:
    """A failed connection has none."""
    warnings = accepted(workflow(node("a", retry={"when": when}))).warnings
    assert [(warning.code, warning.pointer) for warning in warnings] == [
        ("may_be_missing", "/nodes/0/retry/when")
    ] * warned


def test_a_condition_of_the_defaults_is_told_of_there_and_once() -> None:
    """Whichever nodes have it; a node with a `retry` of its own has not."""
    own: JsonObject = {"when": "{{ error.code == 'x' }}"}
    defaults: JsonObject = {"node": {"retry": {"when": "{{ error.mesage }}"}}}
    problem = only(checked(workflow(node("a"), node("b"), node("c", retry=own), defaults=defaults)))
    assert (problem.code, problem.pointer) == ("unknown_field", "/defaults/node/retry/when")


@pytest.mark.parametrize(
    "fields",
    [
        {"max_attempts": 1},
        {"max_attempts": 1000},
        {"delay_seconds": 0},
        {"delay_seconds": MONTH_S},
        {"multiplier": 1},
        {"multiplier": 100},
        {"max_delay_seconds": 0},
        {"jitter": 1},
        {"max_seconds": 0},
        {"max_seconds": MONTH_S},
        {"only": ["all"]},
        {"only": ["c"] * 100},
    ],
)
def test_the_ends_of_each_range_belong_to_it(fields: dict[str, JsonValue]) -> None:
    """To the last."""
    retry(**fields)


@pytest.mark.parametrize(
    ("said", "tolerates"),
    [
        ("fail", False),
        ("continue", True),
        ({"continue": ["http_404"]}, ("http_404",)),
        ({"continue": ["timeout", "my.own-code_1"]}, ("timeout", "my.own-code_1")),
    ],
)
def test_what_on_error_tolerates(said: JsonValue, tolerates: object) -> None:
    """Nothing, everything, or these codes."""
    assert policy(on_error=said).tolerates == tolerates


# -- what is refused


@pytest.mark.parametrize(
    ("fields", "code", "place", "words"),
    [
        ({"trigger_rule": 5}, "wrong_type", "trigger_rule", "the name of a rule, this is an integer"),
        ({"trigger_rule": None}, "wrong_type", "trigger_rule", "this is null"),
        ({"trigger_rule": ["all_done"]}, "wrong_type", "trigger_rule", "this is a list"),
        (
            {"trigger_rule": "all_sucess"},
            "unknown_trigger_rule",
            "trigger_rule",
            "did you mean 'all_success'?",
        ),
        (
            {"trigger_rule": "always"},
            "unknown_trigger_rule",
            "trigger_rule",
            "There are: all_success, none_f",
        ),
        ({"when": True}, "wrong_type", "when", "write '{{ true }}' in quotes"),
        ({"when": False}, "wrong_type", "when", "write '{{ false }}' in quotes"),
        ({"when": 1}, "wrong_type", "when", "a text with one expression, this is an integer"),
        ({"when": {}}, "wrong_type", "when", "this is an object"),
        ({"when": "a.result > 3"}, "when_not_expression", "when", '"{{ a.result > 3 }}"'),
        ({"when": ""}, "when_not_expression", "when", "one whole expression"),
        ({"when": "{{ a.result }} "}, "when_not_expression", "when", "would make it a text"),
        ({"when": "{{ a.result }}{{ b.result }}"}, "when_not_expression", "when", "one whole expression"),
        ({"when": "{# nothing #}"}, "when_not_expression", "when", "one whole expression"),
        ({"when": "{{ a.result > }}"}, "template_syntax", "when", "line 1"),
        ({"when": "{% if a %}"}, "template_forbidden", "when", "{% ... %}"),
        ({"when": "{{ far.result }}"}, "unknown_node_reference", "when", "no node"),
        ({"when": "{{ n.result }}"}, "not_an_ancestor", "when", "its own node's output"),
        ({"when": "{{ secrets.KEY }}"}, "secret_not_allowed", "when", "a condition takes no secrets"),
        ({"when": "{{ a.nothing }}"}, "unknown_field", "when", "nothing"),
        ({"retry": 3}, "wrong_type", "retry", "must be an object, it is an integer"),
        ({"retry": True}, "wrong_type", "retry", "a boolean"),
        ({"retry": []}, "wrong_type", "retry", "a list"),
        ({"retry": {"max_attempts": 0}}, "out_of_range", "retry/max_attempts", "counts all tries: 1 to 1000"),
        ({"retry": {"max_attempts": 1001}}, "out_of_range", "retry/max_attempts", "not 1001"),
        ({"retry": {"max_attempts": 2.0}}, "wrong_type", "retry/max_attempts", "a whole number"),
        ({"retry": {"max_attempts": True}}, "wrong_type", "retry/max_attempts", "a whole number"),
        ({"retry": {"max_attempts": "3"}}, "wrong_type", "retry/max_attempts", "text"),
        ({"retry": {"delay_seconds": -1}}, "out_of_range", "retry/delay_seconds", "0 to 2592000, not -1"),
        ({"retry": {"delay_seconds": MONTH_S + 1}}, "out_of_range", "retry/delay_seconds", "2592001"),
        (
            {"retry": {"delay_seconds": "1s"}},
            "wrong_type",
            "retry/delay_seconds",
            "must be a number, it is text",
        ),
        ({"retry": {"delay_seconds": None}}, "wrong_type", "retry/delay_seconds", "null"),
        ({"retry": {"multiplier": 0.9}}, "out_of_range", "retry/multiplier", "1 to 100"),
        ({"retry": {"multiplier": 101}}, "out_of_range", "retry/multiplier", "1 to 100"),
        ({"retry": {"max_delay_seconds": -0.1}}, "out_of_range", "retry/max_delay_seconds", "0 to"),
        ({"retry": {"jitter": 1.01}}, "out_of_range", "retry/jitter", "0 to 1"),
        ({"retry": {"jitter": -0.01}}, "out_of_range", "retry/jitter", "0 to 1"),
        ({"retry": {"jitter": True}}, "wrong_type", "retry/jitter", "a number"),
        ({"retry": {"max_seconds": MONTH_S + 1}}, "out_of_range", "retry/max_seconds", "0 to 2592000"),
        ({"retry": {"attempts": 3}}, "unknown_field", "retry/attempts", "Known fields: max_attempts"),
        ({"retry": {"max_attemps": 3}}, "unknown_field", "retry/max_attemps", "did you mean 'max_attempts'?"),
        ({"retry": {"on": ["timeout"]}}, "unknown_field", "retry/on", "only, except"),
        ({"retry": {"when": True}}, "wrong_type", "retry/when", "'retry.when' is an expression"),
        ({"retry": {"when": 3}}, "wrong_type", "retry/when", "'retry.when' is a text with one expression"),
        ({"retry": {"when": "yes"}}, "when_not_expression", "retry/when", "{{ a.result > 3 }}"),
        ({"retry": {"when": "x {{ error.code }}"}}, "when_not_expression", "retry/when", "one whole"),
        ({"retry": {"when": "{{ 1 + }}"}}, "template_syntax", "retry/when", ""),
        ({"retry": {"when": "{{ far.result }}"}}, "unknown_node_reference", "retry/when", "'far'"),
        ({"retry": {"when": "{{ eror.code }}"}}, "unknown_node_reference", "retry/when", "mean 'error'?"),
        ({"retry": {"when": "{{ n.result }}"}}, "not_an_ancestor", "retry/when", "its own node's output"),
        ({"retry": {"when": "{{ error.mesage }}"}}, "unknown_field", "retry/when", "did you mean 'message'?"),
        ({"retry": {"when": "{{ error.code.x }}"}}, "unknown_field", "retry/when", "text, which has no 'x'"),
        ({"retry": {"when": "{{ secrets.KEY }}"}}, "secret_not_allowed", "retry/when", "takes no secrets"),
        ({"when": "{{ error.code }}"}, "unknown_node_reference", "when", "only 'retry.when' reads it"),
        ({"when": "{{ attempt > 1 }}"}, "unknown_node_reference", "when", "only 'retry.when' reads it"),
        ({"retry": {"only": "timeout"}}, "wrong_type", "retry/only", "a list of error codes, it is text"),
        ({"retry": {"only": []}}, "wrong_type", "retry/only", "it is empty"),
        ({"retry": {"only": None}}, "wrong_type", "retry/only", "null"),
        ({"retry": {"only": ["c"] * 101}}, "out_of_range", "retry/only", "at most 100"),
        ({"retry": {"only": [404]}}, "invalid_code", "retry/only/0", "an integer is no error code"),
        (
            {"retry": {"only": ["timeout", "no code"]}},
            "invalid_code",
            "retry/only/1",
            "'no code' is no error code",
        ),
        ({"retry": {"except": ["5xx"]}}, "invalid_code", "retry/except/0", "'5xx'"),
        ({"retry": {"except": ["all"]}}, "invalid_code", "retry/except", "a word of 'only'"),
        ({"retry": {"except": {}}}, "wrong_type", "retry/except", "an object"),
        ({"on_error": "ignore"}, "invalid_on_error", "on_error", "fail, continue or {continue: [codes]}"),
        ({"on_error": True}, "invalid_on_error", "on_error", "not a boolean"),
        ({"on_error": ["timeout"]}, "invalid_on_error", "on_error", "not a list"),
        ({"on_error": {}}, "missing_field", "on_error/continue", "'continue' is required"),
        ({"on_error": {"continue": "timeout"}}, "wrong_type", "on_error/continue", "a list of error codes"),
        ({"on_error": {"continue": []}}, "wrong_type", "on_error/continue", "empty"),
        ({"on_error": {"continue": [1]}}, "invalid_code", "on_error/continue/0", "an integer"),
        (
            {"on_error": {"continue": ["x"], "contine": 1}},
            "unknown_field",
            "on_error/contine",
            "did you mean 'continue'?",
        ),
    ],
)
def test_each_wrong_field_is_refused_in_its_place_with_what_to_do(
    fields: dict[str, JsonValue], code: str, place: str, words: str
) -> None:
    """One wrong thing, one problem."""
    problem = only(checked(workflow(node("a"), node("b"), node("n", "a", "b", **fields))))
    assert (problem.code, problem.pointer) == (code, f"/nodes/2/{place}")
    assert words in problem.message


@pytest.mark.parametrize("rule", NEEDING)
@pytest.mark.parametrize("dependencies", [{}, {"dependencies": []}])
def test_rules_that_ask_for_ends_need_dependencies(rule: str, dependencies: dict[str, JsonValue]) -> None:
    """Without any they could never hold; those that can are named."""
    wrong = {"id": "a", "handler": "set", "trigger_rule": rule, **dependencies}
    problem = only(checked(workflow(wrong)))
    assert (problem.code, problem.pointer) == ("rule_needs_dependencies", "/nodes/0/trigger_rule")
    assert "all_success, none_failed, all_done" in problem.message


def test_all_that_is_wrong_is_told_at_once() -> None:
    """In one pass, in the document's order."""
    wrong = node(
        "a",
        when="yes",
        trigger_rule="maybe",
        retry={"max_attempts": 0, "jitter": 2, "only": [1, 2]},
        on_error="ignore",
    )
    assert sorted(codes(checked(workflow(wrong)))) == sorted(
        [
            "when_not_expression",
            "unknown_trigger_rule",
            "out_of_range",
            "out_of_range",
            "invalid_code",
            "invalid_code",
            "invalid_on_error",
        ]
    )


# -- defaults


def test_defaults_hold_for_each_node_that_says_nothing_else() -> None:
    """Timeout, retry and on_error, one by one."""
    document = workflow(
        node("a"),
        node("b", timeout_seconds=5),
        node("c", retry={"max_attempts": 2}),
        node("d", on_error="fail"),
        defaults={"node": {"timeout_seconds": 60, "retry": {"jitter": 0.5}, "on_error": "continue"}},
    )
    plan = accepted(document).plan
    assert plan is not None
    assert [item.work.timeout_ms for item in plan.nodes] == [60_000, 5000, 60_000, 60_000]
    usual, own = Retry(jitter=0.5), Retry(max_attempts=2)
    assert [plan.policy(position).retry for position in range(4)] == [usual, usual, own, usual]
    assert [plan.policy(position).tolerates for position in range(4)] == [True, True, True, False]


def test_a_nodes_retry_replaces_that_of_the_defaults_whole() -> None:
    """What it leaves out is not taken from them."""
    document = workflow(node("a", retry={}), defaults={"node": {"retry": {"max_attempts": 9}}})
    plan = accepted(document).plan
    assert plan is not None
    assert plan.policy(0).retry == Retry()


@pytest.mark.parametrize("defaults", [{}, {"node": {}}, {"node": {"on_error": "fail", "retry": None}}])
def test_defaults_that_say_nothing_change_nothing(defaults: JsonValue) -> None:
    """The plan is that of a document without them."""
    plan = accepted(workflow(node("a"), defaults=defaults)).plan
    assert plan == accepted(workflow(node("a"))).plan


@pytest.mark.parametrize(
    ("defaults", "code", "place", "words"),
    [
        ([], "wrong_type", "", "'defaults' must be an object, it is a list"),
        (None, "wrong_type", "", "null"),
        ({"nodes": {}}, "unknown_field", "/nodes", "did you mean 'node'?"),
        ({"node": 5}, "wrong_type", "/node", "an integer"),
        ({"node": {"when": "{{ true }}"}}, "unknown_field", "/node/when", "timeout_seconds, retry, on_error"),
        ({"node": {"trigger_rule": "all_done"}}, "unknown_field", "/node/trigger_rule", "Known fields"),
        ({"node": {"timeout_seconds": 0}}, "out_of_range", "/node/timeout_seconds", "1 to 3600"),
        ({"node": {"timeout_seconds": "1m"}}, "wrong_type", "/node/timeout_seconds", "text"),
        ({"node": {"retry": 3}}, "wrong_type", "/node/retry", "an integer"),
        ({"node": {"retry": {"jitter": 2}}}, "out_of_range", "/node/retry/jitter", "0 to 1"),
        ({"node": {"on_error": "ignore"}}, "invalid_on_error", "/node/on_error", "continue"),
    ],
)
def test_what_is_wrong_with_defaults_is_told_once_and_there(
    defaults: JsonValue, code: str, place: str, words: str
) -> None:
    """However many nodes they would hold for."""
    problem = only(checked(workflow(node("a"), node("b"), defaults=defaults)))
    assert (problem.code, problem.pointer) == (code, f"/defaults{place}")
    assert words in problem.message
