"""What a node's `repeat` says: what is read, what its templates may read, and what is refused."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow import Problem
from flowengine.workflow.plan import decode_plan, encode_plan
from flowengine.workflow.repeating.repeat import Repeat
from tests.support.documents import JsonObject, accepted, checked, codes, node, only, workflow

DONE = "{{ poll.data.done }}"


def polling(config: JsonValue = None, **fields: JsonValue) -> JsonObject:
    """A node called `poll` with this `repeat`."""
    given = config or {"url": "http://a.example/"}
    return {"id": "poll", "handler": "http_request", "config": given, "repeat": {"until": DONE, **fields}}


def only_of(document: JsonObject) -> Problem:
    """The one problem of a document."""
    return only(checked(document))


def codes_of(document: JsonObject) -> list[str]:
    """The codes of a document's problems."""
    return codes(checked(document))


def repeat_of(document: JsonObject, position: int = 0) -> Repeat:
    """That of a node, as it was understood."""
    plan = accepted(document).plan
    assert plan is not None
    assert decode_plan(encode_plan(plan)) == plan
    found = plan.policy(position).repeat
    assert found is not None
    return found


def test_what_is_left_out_has_its_default() -> None:
    """A hundred iterations, no wait, a failure at the end, and nothing kept."""
    found = repeat_of(workflow(polling()))
    assert found == Repeat(DONE, 100, 0, 0, goes_on=False, collects=False, max_s=None)
    assert not found.keeps


def test_all_fields_are_read() -> None:
    """Times in seconds, numbers or templates of them."""
    found = repeat_of(
        workflow(
            polling(
                max_iterations=10_000,
                delay_seconds="{{ poll.headers['retry-after'] | default(0.5) }}",
                initial_delay_seconds=1.5,
                max_seconds=2_592_000,
                on_exhausted="continue",
                collect=True,
            )
        )
    )
    delay = "{{ poll.headers['retry-after'] | default(0.5) }}"
    assert found == Repeat(DONE, 10_000, delay, 1.5, goes_on=True, collects=True, max_s=2_592_000)
    assert found.keeps


@pytest.mark.parametrize(
    ("fields", "code", "where"),
    [
        ({"until": "{{ poll.data.done }} "}, "when_not_expression", "/until"),
        ({"until": True}, "wrong_type", "/until"),
        ({"until": None}, "missing_field", "/until"),
        ({"max_iterations": 0}, "out_of_range", "/max_iterations"),
        ({"max_iterations": 10_001}, "out_of_range", "/max_iterations"),
        ({"max_iterations": 2.5}, "wrong_type", "/max_iterations"),
        ({"max_iterations": "five"}, "wrong_type", "/max_iterations"),
        ({"delay_seconds": -1}, "out_of_range", "/delay_seconds"),
        ({"delay_seconds": True}, "wrong_type", "/delay_seconds"),
        ({"initial_delay_seconds": 2_592_001}, "out_of_range", "/initial_delay_seconds"),
        ({"max_seconds": 0}, "out_of_range", "/max_seconds"),
        ({"on_exhausted": "ignore"}, "invalid_value", "/on_exhausted"),
        ({"collect": "yes"}, "wrong_type", "/collect"),
        ({"while": "{{ true }}"}, "unknown_field", "/while"),
    ],
)
def test_a_wrong_field_is_refused_in_its_place(fields: JsonObject, code: str, where: str) -> None:
    """With what it may be."""
    problem = only_of(workflow(polling(**fields)))
    assert (problem.code, problem.pointer) == (code, f"/nodes/0/repeat{where}")


@pytest.mark.parametrize("given", [True, "{{ 1 }}", []])
def test_a_repeat_is_an_object(given: JsonValue) -> None:
    """Whatever else it is, it says no condition."""
    problem = only_of(workflow(node("a", repeat=given)))
    assert (problem.code, problem.pointer) == ("wrong_type", "/nodes/0/repeat")


def test_an_end_does_not_repeat() -> None:
    """It ends the execution."""
    end: JsonObject = {"id": "e", "handler": "end", "config": {"status": "completed"}}
    problem = only_of(workflow({**end, "repeat": {"until": "{{ true }}"}}))
    assert (problem.code, problem.pointer) == ("not_with_end", "/nodes/0/repeat")


def test_config_reads_the_number_and_what_the_iteration_before_gave() -> None:
    """Then that is kept; the first iteration has none, so it needs another value."""
    config: JsonObject = {"url": "http://a.example/{{ iteration }}/{{ previous.next | default('') }}"}
    result = accepted(workflow(polling(config)))
    assert result.warnings == ()
    assert repeat_of(workflow(polling(config))).reads_previous
    careless: JsonObject = {"url": "http://a.example/{{ previous.next }}"}
    (warning,) = accepted(workflow(polling(careless))).warnings
    assert (warning.code, warning.pointer) == ("may_be_missing", "/nodes/0/config/url")
    assert "in the first iteration" in warning.message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ poll.data }}", "not_an_ancestor"),
        ("{{ attempt }}", "unknown_node_reference"),
    ],
)
def test_config_does_not_read_the_node_itself(text: str, code: str) -> None:
    """Only what is rendered after the call does."""
    assert codes_of(workflow(polling({"url": "http://a.example/", "params": {"a": text}}))) == [code]


def test_a_node_that_does_not_repeat_has_no_iteration() -> None:
    """Nor has the condition that is decided before the first one, or a wait before it."""
    problem = only_of(workflow(node("a", config={"input": "{{ iteration }}", "transform_type": "to_text"})))
    assert (problem.code, problem.pointer) == ("unknown_node_reference", "/nodes/0/config/input")
    assert "with 'repeat'" in problem.message
    with_when = {**polling(), "when": "{{ iteration == 1 }}"}
    assert codes_of(workflow(with_when)) == ["unknown_node_reference"]
    assert codes_of(workflow(polling(initial_delay_seconds="{{ previous }}"))) == ["unknown_node_reference"]
    assert codes_of(workflow(polling(max_iterations="{{ poll.data.most }}"))) == ["not_an_ancestor"]


def test_a_condition_takes_no_secrets() -> None:
    """How often a node runs would tell of them."""
    problem = only_of(workflow(polling(until="{{ poll.data.key == secrets.KEY }}")))
    assert (problem.code, problem.pointer) == ("secret_not_allowed", "/nodes/0/repeat/until")


def test_a_condition_is_checked_against_what_the_handler_gives() -> None:
    """A field that an output cannot have is refused, as in other nodes."""
    problem = only_of(workflow(polling(until="{{ poll.dta.done }}")))
    assert (problem.code, problem.pointer) == ("unknown_field", "/nodes/0/repeat/until")
    assert "did you mean 'data'" in problem.message


def reading(text: str, **fields: JsonValue) -> JsonObject:
    """A node that reads what one that repeats has given in the end."""
    reader: JsonObject = {"id": "r", "handler": "set", "config": {"value": text}, "dependencies": ["poll"]}
    return workflow(polling(**fields), reader)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{{ poll.iterations }}", {}),
        ("{{ poll.data.done }}", {}),
        ("{{ poll.result[0].done }}", {"collect": True}),
        ("{{ poll.iterations }}", {"collect": True}),
    ],
)
def test_the_output_has_the_number_of_iterations(text: str, fields: JsonObject) -> None:
    """Beside what the last one gave, or the list of what all gave."""
    accepted(reading(text, **fields))


@pytest.mark.parametrize(
    ("text", "fields", "said"),
    [
        ("{{ poll.iterations.a }}", {}, "is a number"),
        ("{{ poll.data.done }}", {"collect": True}, "has no field 'data'"),
        ("{{ poll.result.done }}", {"collect": True}, "the list of what all iterations"),
        ("{{ poll.dta }}", {}, "did you mean 'data'"),
        ("{{ poll.iteratons }}", {}, "did you mean 'iterations'"),
        ("{{ poll.nothing }}", {}, ", iterations"),
    ],
)
def test_a_field_that_the_output_cannot_have_is_refused(text: str, fields: JsonObject, said: str) -> None:
    """The condition of the same document still reads what one iteration gives."""
    problem = only_of(reading(text, **fields))
    assert (problem.code, problem.pointer) == ("unknown_field", "/nodes/1/config/value")
    assert said in problem.message


def test_a_number_of_iterations_is_no_object() -> None:
    """Where a handler wants one, it is refused before anything runs."""
    call: JsonObject = {
        "id": "c",
        "handler": "http_request",
        "config": {"url": "http://a.example/", "headers": "{{ poll.iterations }}"},
        "dependencies": ["poll"],
    }
    assert codes_of(workflow(polling(collect=True), call)) == ["type_mismatch"]


def looping(*nodes: JsonObject, **fields: JsonValue) -> JsonObject:
    """A group of these nodes that repeats."""
    return {"id": "g", "nodes": list(nodes), "repeat": {"until": "{{ g.result.a > 2 }}"}, **fields}


def says(name: str, value: str, **fields: JsonValue) -> JsonObject:
    """A node that gives this."""
    return {"id": name, "handler": "set", "config": {"value": value}, **fields}


@pytest.mark.parametrize(
    ("value", "previous", "within"),
    [
        ("{{ iteration }}", False, "iteration"),
        ("{{ previous | default(0) }}", True, "previous"),
        ("1", False, ""),
    ],
)
def test_the_nodes_of_a_group_read_its_iteration(value: str, *, previous: bool, within: str) -> None:
    """What the iteration before has given is kept where one of them reads it, at whatever depth."""
    deep: JsonObject = {"id": "deep", "nodes": [says("a", value)]}
    plan = accepted(workflow(looping(deep))).plan
    assert plan is not None
    repeat = plan.policy(0).repeat
    assert repeat is not None
    assert repeat.reads_previous == previous
    assert plan.group_at((0,)).policy(0).within == within
    assert plan.group_at((0, 0)).policy(0).within == within


def test_what_repeats_in_a_group_that_repeats_reads_its_own_iteration() -> None:
    """It hides the one around: also where it could not be meant."""
    inner = says("a", "{{ previous | default(0) }}", repeat={"until": "{{ iteration > 2 }}"})
    plan = accepted(workflow(looping(inner))).plan
    assert plan is not None
    assert plan.policy(0).repeat == Repeat("{{ g.result.a > 2 }}")
    assert plan.group_at((0,)).policy(0).within == ""
    problem = only_of(workflow(looping({**inner, "when": "{{ iteration > 1 }}"})))
    assert (problem.code, problem.pointer) == ("unknown_node_reference", "/nodes/0/nodes/0/when")


def test_the_condition_of_a_group_reads_its_outputs() -> None:
    """One that it does not give is refused, with the nearest name."""
    group = looping(says("a", "1"), outputs={"total": "{{ a.result }}"})
    group["repeat"] = {"until": "{{ g.result.totl > 2 }}"}
    problem = only_of(workflow(group))
    assert (problem.code, problem.pointer) == ("unknown_field", "/nodes/0/repeat/until")
    assert "'total'" in problem.message


@pytest.mark.parametrize("place", ["before", "behind", "when"])
def test_nobody_else_reads_the_iteration_of_a_group(place: str) -> None:
    """Nor does its own `when`, which is decided before the first one."""
    group = looping(says("a", "1"))
    other = says("b", "{{ iteration }}", dependencies=["g"] if place == "behind" else [])
    nodes = [group, other]
    if place == "when":
        nodes = [{**group, "when": "{{ iteration == 1 }}"}]
    problem = only_of(workflow(*nodes))
    assert problem.code == "unknown_node_reference"
    assert "'repeat'" in problem.message


def test_a_group_that_repeats_may_be_a_map_as_well() -> None:
    """The map is outside, the repetition inside."""
    until: JsonObject = {"until": "{{ item > 1 }}"}
    plan = checked(workflow({**looping(says("a", "1"), map={"items": [1]}), "repeat": until})).plan
    assert plan is not None
    assert (plan.policy(0).map is None, plan.policy(0).repeat) == (False, None)
    inner = plan.group_at((0,)).policy(0)
    assert (inner.map, inner.repeat is None) == (None, False)
