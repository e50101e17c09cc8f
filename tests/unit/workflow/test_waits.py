"""What nodes say that wait for a time, a signal or a person: what is read, and what is refused."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.plan import decode_plan, encode_plan
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.support.documents import JsonObject, accepted, checked, only, reading, workflow

A_DAY = 86_400
CARD: JsonObject = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}


def waiting(handler: str, config: JsonValue = None, node_id: str = "hold", **fields: JsonValue) -> JsonObject:
    """A node that waits."""
    return {"id": node_id, "handler": handler, "config": config or {}, **fields}


def policy_of(document: JsonObject, position: int = 0) -> WaitPolicy:
    """What a node waits for, as it was understood, and as it comes back from Redis."""
    plan = accepted(document).plan
    assert plan is not None
    assert decode_plan(encode_plan(plan)) == plan
    found = plan.policy(position).waits
    assert found is not None
    return found


def refused(*nodes: JsonObject) -> tuple[str, str, str]:
    """Code, place and words of the one problem of a document of these nodes."""
    problem = only(checked(workflow(*nodes)))
    return problem.code, problem.pointer, problem.message


def test_a_wait_lasts_a_week_at_most_unless_it_says_more() -> None:
    """Up to thirty days; what holds for tasks does not hold here."""
    assert policy_of(workflow(waiting("wait", {"seconds": 5}))) == WaitPolicy("wait", 7 * A_DAY * 1000)
    longest = waiting("wait", {"seconds": 30 * A_DAY}, timeout_seconds=30 * A_DAY)
    assert policy_of(workflow(longest)) == WaitPolicy("wait", 30 * A_DAY * 1000)


@pytest.mark.parametrize("handler", ["signal", "approval"])
@pytest.mark.parametrize("timeout_s", [0.5, 30 * A_DAY + 1])
def test_a_timeout_is_a_second_to_thirty_days(handler: str, timeout_s: float) -> None:
    """For a task an hour is the most."""
    code, place, _ = refused(waiting(handler, {"prompt": "?"}, timeout_seconds=timeout_s))
    assert (code, place) == ("out_of_range", "/nodes/0/timeout_seconds")


def test_a_wait_longer_than_its_timeout_is_refused() -> None:
    """Where it is a number; what a template gives is seen when the node runs."""
    code, place, message = refused(waiting("wait", {"seconds": 8 * A_DAY}))
    assert (code, place) == ("out_of_range", "/nodes/0/config/seconds")
    assert "say a longer timeout_seconds, up to 2592000" in message
    accepted(workflow(waiting("wait", {"seconds": "{{ 8 * 86400 }}"})))


def test_a_signal_is_named_as_its_node() -> None:
    """Or as it says; with `names`, it takes the first of several."""
    assert policy_of(workflow(waiting("signal"))).names == ("hold",)
    assert policy_of(workflow(waiting("signal", {"name": "card.ready-1"}))).names == ("card.ready-1",)
    several = policy_of(workflow(waiting("signal", {"names": ["yes", "no"]})))
    assert (several.names, several.several) == (("yes", "no"), True)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a/b", "{{ 'a' }}", "x" * 201])
def test_a_name_that_no_caller_could_send_is_refused(name: str) -> None:
    """A name is a literal, and stands in an address."""
    code, place, message = refused(waiting("signal", {"name": name}))
    assert (code, place) == ("invalid_config", "/nodes/0/config/name")
    assert "is no name of a signal" in message
    assert refused(waiting("signal", {"names": ["fine", name]}))[1] == "/nodes/0/config/names/1"


@pytest.mark.parametrize(
    ("config", "code", "place"),
    [
        ({"name": "a", "names": ["b"]}, "invalid_config", "/names"),
        ({"names": []}, "out_of_range", "/names"),
        ({"names": [f"n{number}" for number in range(21)]}, "out_of_range", "/names"),
        ({"names": ["a", "a"]}, "invalid_config", "/names"),
        ({"on_timeout": "{{ 'continue' }}"}, "invalid_config", "/on_timeout"),
        ({"schema": {"const": "{{ 1 }}"}}, "invalid_config", "/schema"),
    ],
)
def test_what_a_signal_cannot_say_is_refused(config: JsonObject, code: str, place: str) -> None:
    """Names, choices and schemas hold for every execution of the document."""
    assert refused(waiting("signal", config))[:2] == (code, f"/nodes/0/config{place}")


def test_what_becomes_of_a_timeout_and_of_a_rejection_is_read() -> None:
    """Without a word both fail the node."""
    plain = policy_of(workflow(waiting("approval", {"prompt": "?"})))
    assert (plain.continues, plain.takes_rejections) == (False, False)
    both = waiting("approval", {"prompt": "?", "on_timeout": "continue", "on_reject": "continue"})
    goes_on = policy_of(workflow(both))
    assert (goes_on.continues, goes_on.takes_rejections) == (True, True)
    assert policy_of(workflow(waiting("signal", {"on_timeout": "continue"}))).continues


def test_nodes_that_take_one_signal_say_the_same_of_it() -> None:
    """Else it could not be told whether a signal that came early is right."""
    first = waiting("signal", {"name": "card", "schema": CARD}, "one")
    accepted(workflow(first, waiting("signal", {"names": ["card"], "schema": CARD}, "two")))
    code, place, message = refused(first, waiting("signal", {"name": "card"}, "two"))
    assert (code, place) == ("signal_schema_differs", "/nodes/1/config")
    assert "the signal 'card' carries what 'one' says" in message


def test_what_a_signal_carries_is_known_to_those_that_read_it() -> None:
    """A field that its schema does not have is found in the document."""
    closed = {**CARD, "additionalProperties": False}
    sent = waiting("signal", {"schema": closed})
    accepted(workflow(sent, reading("show", "{{ hold.result.id }}", "hold")))
    code, place, _ = refused(sent, reading("show", "{{ hold.result.number }}", "hold"))
    assert code == "unknown_field"
    assert place.startswith("/nodes/1/config")


@pytest.mark.parametrize("handler", ["signal", "approval"])
def test_what_waits_has_no_output_schema(handler: str) -> None:
    """Its config has the schema of what comes."""
    code, place, message = refused(waiting(handler, {"prompt": "?"}, output_schema=CARD))
    assert (code, place) == ("not_with_wait", "/nodes/0/output_schema")
    assert "put it there" in message


def test_nodes_inside_a_group_wait_too() -> None:
    """And say the same of a signal among themselves."""
    inside = [
        waiting("signal", {"name": "card", "schema": CARD}, "one"),
        waiting("signal", {"name": "card"}, "two"),
    ]
    code, place, _ = refused({"id": "all", "nodes": [*inside]})
    assert (code, place.rsplit("/", 2)[-2:]) == ("signal_schema_differs", ["1", "config"])
