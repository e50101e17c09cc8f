"""`set` gives its config as the result; `assert` fails where something does not hold."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from tests.support.documents import JsonObject, accepted, checked, node, only, reading, workflow
from tests.support.rigs.handler_runs import running


def result(name: str, config: JsonObject) -> JsonValue:
    """What a node of this handler gives."""
    with running() as runs:
        return runs.run(name, config)["result"]


def failure(config: JsonObject) -> HandlerError:
    """What an assertion fails with."""
    with running() as runs, pytest.raises(HandlerError) as caught:
        runs.run("assert", config)
    return caught.value


# -- set


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {}),
        ({"a": 1, "b": [None, {"c": "x"}]}, {"a": 1, "b": [None, {"c": "x"}]}),
        ({"value": 5}, 5),
        ({"value": None}, None),
        ({"value": {"a": 1}}, {"a": 1}),
        ({"value": {"value": 1}}, {"value": 1}),
        ({"value": 1, "other": 2}, {"value": 1, "other": 2}),
        ({"fields": 1}, {"fields": 1}),
        ({"result": 1}, {"result": 1}),
        ({"": 1, "a b": 2}, {"": 1, "a b": 2}),
    ],
)
def test_set_gives_its_config_or_the_value_of_a_lone_key(config: JsonObject, expected: JsonValue) -> None:
    """Whatever it is called; `{}` too."""
    assert result("set", config) == expected


def test_the_output_of_set_is_its_result_alone() -> None:
    """So that templates read `X.result`."""
    with running() as runs:
        assert runs.run("set", {"a": 1}) == {"result": {"a": 1}}


@pytest.mark.parametrize("config", [{}, {"a": {"b": ["{{ x.result }}"]}}, {"value": "{{ x.result }}"}])
def test_any_config_of_set_is_right(config: JsonObject) -> None:
    """Its fields are the document's own."""
    accepted(workflow(node("x"), node("s", "x", handler="set", config=config)))


def test_a_set_without_a_config_is_a_point_to_meet() -> None:
    """It may leave the config out."""
    accepted(workflow(node("a"), {"id": "meet", "handler": "set", "dependencies": ["a"]}))


def test_templates_of_set_are_checked() -> None:
    """As everywhere."""
    wrong = node("s", handler="set", config={"any": {"deep": ["{{ far.result }}"]}})
    problem = only(checked(workflow(wrong)))
    assert (problem.code, problem.pointer) == ("unknown_node_reference", "/nodes/0/config/any/deep/0")


def test_what_set_gives_may_be_read_at_any_depth() -> None:
    """Its result has no declared fields."""
    accepted(
        workflow(node("s", handler="set", config={"a": 1}), reading("b", "{{ s.result.any.depth }}", "s"))
    )


def test_a_field_beside_the_result_of_set_is_refused() -> None:
    """It has none."""
    document = workflow(node("s", handler="set", config={"a": 1}), reading("b", "{{ s.a }}", "s"))
    problem = only(checked(document))
    assert (problem.code, problem.pointer) == ("unknown_field", "/nodes/1/config/input")


@pytest.mark.parametrize("handler", ["set", "assert"])
def test_neither_takes_secrets(handler: str) -> None:
    """A result is stored, and whether an assertion holds would tell."""
    config: JsonObject = {"that": "{{ secrets.KEY }}"}
    problem = only(checked(workflow(node("a", handler=handler, config=config))))
    assert (problem.code, problem.pointer) == ("secret_not_allowed", "/nodes/0/config/that")


# -- assert


def test_what_holds_completes() -> None:
    """With the result true."""
    assert result("assert", {"that": True, "message": "no", "code": "odd"}) is True


@pytest.mark.parametrize("that", [False, None])
def test_what_does_not_hold_fails_for_good(that: bool | None) -> None:
    """Null is false; another try would find the same."""
    error = failure({"that": that})
    assert (error.code, error.permanent) == ("assertion_failed", True)
    assert str(error) == "what `that` asserts is not true"


def test_an_assertion_fails_with_its_own_words() -> None:
    """And its own code."""
    error = failure({"that": False, "message": "too few rows", "code": "too_few"})
    assert (error.code, str(error), error.permanent) == ("too_few", "too few rows", True)


@pytest.mark.parametrize("that", ["false", "true", "", "yes"])
def test_a_text_is_neither_true_nor_false(that: str) -> None:
    """It is refused with what is wanted."""
    error = failure({"that": that})
    assert error.code == "invalid_config"
    assert "config.that must give true, false or null" in str(error)


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({}, "that"),
        ({"that": 5}, "that"),
        ({"that": []}, "that"),
        ({"that": True, "code": "not a code"}, "code"),
        ({"that": True, "code": "a\n"}, "code"),
        ({"that": True, "message": 5}, "message"),
        ({"that": True, "colour": 1}, "colour"),
    ],
)
def test_a_wrong_assertion_is_refused_with_its_document(config: JsonObject, place: str) -> None:
    """In its place."""
    problem = only(checked(workflow(node("a", handler="assert", config=config))))
    assert problem.pointer == f"/nodes/0/config/{place}"


# -- end


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"result": None, "message": ""}),
        ({"status": "completed", "outputs": {"a": 1}, "message": "m"}, {"result": {"a": 1}, "message": "m"}),
    ],
)
def test_an_end_gives_the_outputs_that_it_names(config: JsonObject, expected: JsonValue) -> None:
    """None where it names none."""
    with running() as runs:
        assert runs.run("end", config) == expected


@pytest.mark.parametrize(("message", "said"), [("no stock", "no stock"), ("", "ended as failed by an `end`")])
def test_an_end_as_failed_fails_for_good(message: str, said: str) -> None:
    """With a code of its own and the message of the config."""
    with running() as runs, pytest.raises(HandlerError) as caught:
        runs.run("end", {"status": "failed", "message": message})
    assert (caught.value.code, caught.value.message, caught.value.permanent) == ("ended", said, True)


@pytest.mark.parametrize("config", [{"status": "cancelled"}, {"outputs": [1]}, {"state": "failed"}])
def test_a_wrong_end_is_refused(config: JsonObject) -> None:
    """When the workflow is accepted."""
    problem = only(checked(workflow({"id": "a", "handler": "end", "config": config})))
    assert problem.pointer.startswith("/nodes/0/config/")
