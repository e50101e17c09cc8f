"""The values of inputs: checked before anything exists, with every problem and its place."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template.budget import Budget
from flowengine.workflow.inputs.declared import MAX_BYTES, Declared
from flowengine.workflow.inputs.values import InputsInvalidError, Occasion, check_given, complete
from flowengine.workflow.problems import Problem
from tests.support.documents import accepted, node, workflow

NOON = 1_772_366_400_000
"""2026-03-01T12:00:00Z"""

OCCASION = Occasion({"id": "e1", "name": "test", "run": 1}, NOON)


def declared(**inputs: JsonValue) -> Declared:
    """Inputs as a document declares them."""
    plan = accepted(workflow(node("a"), inputs=inputs)).plan
    assert plan is not None
    return plan.inputs


def values(said: Declared, **given: JsonValue) -> dict[str, JsonValue]:
    """All inputs of an execution that begins with these."""
    return complete(said, given, OCCASION, Budget(100_000))


def problems(said: Declared, **given: JsonValue) -> tuple[Problem, ...]:
    """What is wrong with these inputs."""
    with pytest.raises(InputsInvalidError) as refused:
        values(said, **given)
    return refused.value.problems


def places(found: tuple[Problem, ...]) -> set[tuple[str, str]]:
    """Codes and pointers."""
    return {(problem.code, problem.pointer) for problem in found}


@pytest.mark.proves("inputs-refused")
def test_every_problem_is_told_at_once_with_its_place() -> None:
    """Missing ones, unknown ones, and each value inside that does not fit."""
    said = declared(
        day={"type": "string", "format": "date"},
        place={"type": "object", "properties": {"city": {"type": "string"}, "n": {"minimum": 5}}},
        must={},
    )
    found = problems(said, day="2026-02-30", place={"city": 1, "n": 3}, dya="x")
    assert places(found) == {
        ("invalid_input", "/inputs/day"),
        ("invalid_input", "/inputs/place/city"),
        ("invalid_input", "/inputs/place/n"),
        ("unknown_input", "/inputs/dya"),
        ("missing_input", "/inputs/must"),
    }
    (unknown,) = [problem for problem in found if problem.code == "unknown_input"]
    assert "did you mean 'day'?" in unknown.message


def test_what_is_missing_may_come_with_the_trigger() -> None:
    """What is posted with the workflow is checked alone."""
    said = declared(a={"type": "integer"}, b={"type": "integer"})
    assert check_given(said, {"a": 1}) == {"a": 1}
    with pytest.raises(InputsInvalidError):
        check_given(said, {"a": "x"})


def test_values_keep_their_type_and_the_order_of_the_document() -> None:
    """And what need not be given is not there."""
    said = declared(a={}, b={"required": False}, c={"type": ["integer", "null"]})
    assert list(values(said, c=None, a=[1, {"x": 2.5}]).items()) == [("a", [1, {"x": 2.5}]), ("c", None)]


def test_without_inputs_in_the_document_any_object_is_taken() -> None:
    """The document says nothing, so nothing is wrong."""
    assert values(None, x=1, y="z") == {"x": 1, "y": "z"}
    assert values(None) == {}


def test_a_document_that_declares_none_takes_none() -> None:
    """An empty `inputs` is not the same as no `inputs`."""
    assert places(problems(declared(), x=1)) == {("unknown_input", "/inputs/x")}


def test_defaults_are_made_of_other_inputs_in_any_order() -> None:
    """Of the execution and the day too; a value that is given makes its default unneeded."""
    said = declared(
        title={"default": "{{ inputs.name }} of {{ inputs.day }}"},
        name={"default": "{{ execution.name }} {{ inputs.count + 1 }}"},
        day={"type": "string", "format": "date", "default": "{{ today() }}"},
        count={"type": "integer", "default": 1},
        list={"type": "array", "default": ["{{ inputs.count }}", {"k": "{{ inputs.day }}"}]},
    )
    found = values(said)
    assert found == {
        "title": "test 2 of 2026-03-01",
        "name": "test 2",
        "day": "2026-03-01",
        "count": 1,
        "list": [1, {"k": "2026-03-01"}],
    }
    assert values(said, name="N", count=5)["title"] == "N of 2026-03-01"


def test_each_default_has_an_id_of_its_own() -> None:
    """`uuid()` gives another one for each place where it stands."""
    found = values(declared(a={"default": "{{ uuid() }}"}, b={"default": "{{ uuid() }}"}))
    assert found["a"] != found["b"]


def test_a_default_that_does_not_fit_once_it_is_rendered_is_a_problem_of_its_input() -> None:
    """So is one that reads what is not there."""
    said = declared(
        a={"type": "integer", "default": "{{ inputs.b }}"},
        b={"required": False},
        c={"default": "{{ inputs.d }}"},
        d={"required": False},
    )
    found = problems(said, b="text")
    assert places(found) == {("invalid_input", "/inputs/a"), ("invalid_input", "/inputs/c")}
    assert all("default" in problem.message for problem in found)


def test_inputs_that_are_too_large_together_are_refused() -> None:
    """Also those that defaults make."""
    assert places(problems(None, x="x" * MAX_BYTES)) == {("inputs_too_large", "/inputs")}
    said = declared(a={}, b={"default": "{{ inputs.a }}"})
    assert places(problems(said, a=["x" * (MAX_BYTES // 2)])) == {("inputs_too_large", "/inputs")}


@pytest.mark.parametrize("value", ["short", "  1234567 ", 12345678, None])
def test_a_secret_has_eight_characters_and_is_never_quoted(value: JsonValue) -> None:
    """A shorter one would be found in every result."""
    found = problems(declared(t={"type": "string", "secret": True}), t=value)
    assert places(found) == {("invalid_input", "/inputs/t")}
    assert "short" not in found[0].message.replace("shorter", "")


def test_no_message_quotes_a_value() -> None:
    """An input may be a password in a field that nobody has called secret."""
    said = declared(
        a={"enum": ["x"]},
        b={"pattern": "^x$"},
        c={"type": "object", "additionalProperties": False},
        d={"const": 1},
    )
    found = problems(said, a="hunter2", b="hunter2", c={"k": "hunter2"}, d="hunter2")
    assert len(found) == 4
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("word", ["pattern", "patternProperties"])
def test_a_hostile_pattern_takes_no_time(word: str) -> None:
    """`^(a+)+$` takes a backtracking engine 2^28 steps for this text. This test would not end."""
    pattern = "^(a+)+$"
    said = declared(x={"pattern": pattern} if word == "pattern" else {word: {pattern: False}})
    text = "a" * 28 + "!"
    if word == "pattern":
        assert len(problems(said, x=text)) == 1
    else:
        assert values(said, x={text: 1}) == {"x": {text: 1}}


def _doubling(depth: int) -> JsonValue:
    defs: dict[str, JsonValue] = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(depth)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{depth}": {"type": "string"}}}


@pytest.mark.proves("schema-work")
@pytest.mark.parametrize(
    "schema",
    [
        _doubling(40),
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"properties": {"x": {"$ref": "#"}}}] * 4},
    ],
    ids=["doubling", "endless", "recursive"],
)
def test_a_schema_that_takes_too_much_work_is_refused_for_the_value(schema: JsonValue) -> None:
    """References may double at each step: what is counted before the check has a bound."""
    deep: JsonValue = {}
    for _ in range(60):
        deep = {"x": deep}
    (found,) = problems(declared(x=schema), x=deep)
    assert "too much work" in found.message


@pytest.mark.proves("schema-work")
def test_large_values_that_do_not_fit_make_no_large_errors() -> None:
    """The library makes an error with a copy of the value for each missing field: it is not asked then."""
    said = declared(x={"required": [f"p{n}" for n in range(300)]})
    (found,) = problems(said, x={"k": "x" * 900_000})
    assert (found.pointer, "too large to say where" in found.message) == ("/inputs/x", True)


def test_a_list_of_many_values_is_checked() -> None:
    """Many values of a simple type are no hostile input, and an ordinary recursive schema is none either."""
    said = declared(x={"type": "array", "items": {"type": "integer"}})
    assert len(str(values(said, x=list(range(140_000))))) > 100_000
    tree: JsonValue = {"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}}
    value: JsonValue = {}
    for _ in range(10):
        value = {"l": value, "r": value}
    assert values(declared(x=tree), x=value) == {"x": value}
