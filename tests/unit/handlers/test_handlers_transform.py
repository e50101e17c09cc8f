"""`transform`: each type's result, and errors that say what was given."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from tests.support.rigs.handler_runs import running


def transformed(kind: str, value: JsonValue, **parameters: JsonValue) -> JsonValue:
    """The result of a transform."""
    with running() as runs:
        return runs.run("transform", {"input": value, "transform_type": kind, **parameters})["result"]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("uppercase", "straße", "STRASSE"),
        ("lowercase", "ABC", "abc"),
        ("title", "don't STOP me", "Don't Stop Me"),
        ("capitalize", "hello WORLD", "Hello world"),
        ("trim", " \n a b\t", "a b"),
        ("reverse", "abc", "cba"),
        ("reverse", [1, 2], [2, 1]),
        ("length", "äöü", 3),
        ("length", {"a": 1}, 1),
        ("json_parse", '{"a": [1, null]}', {"a": [1, None]}),
        ("json_parse", '"42"', "42"),
        ("json_stringify", {"a": [1, None, "ü"]}, '{"a":[1,null,"ü"]}'),
        ("split", "a  b c", ["a", "b", "c"]),
        ("join", ["a", 1, False], "a1false"),
        ("to_number", " 42 ", 42),
        ("to_number", "0.5", 0.5),
        ("to_text", 42, "42"),
        ("to_text", "42", "42"),
        ("first", [3, 2], 3),
        ("last", "abc", "c"),
        ("first", [], None),
        ("unique", [1, "1", 1, {"a": 1, "b": 2}, {"b": 2, "a": 1}], [1, "1", {"a": 1, "b": 2}]),
        ("sort", [3, 1.5, 2], [1.5, 2, 3]),
        ("sort", ["b", "a"], ["a", "b"]),
        ("flatten", [1, [2, [3]], []], [1, 2, [3]]),
        ("keys", {"b": 1, "a": 2}, ["b", "a"]),
        ("values", {"b": 1, "a": 2}, [1, 2]),
    ],
)
def test_each_type_gives_what_its_name_says(kind: str, value: JsonValue, expected: JsonValue) -> None:
    """The result of every transform type for ordinary input."""
    assert transformed(kind, value) == expected


def test_parameters_change_the_result() -> None:
    """Separator, replacement, order and indent are honoured."""
    assert transformed("split", "a,b,,c", separator=",") == ["a", "b", "", "c"]
    assert transformed("join", ["a", "b"], separator="-") == "a-b"
    assert transformed("replace", "a-b-c", old="-", new="+") == "a+b+c"
    assert transformed("sort", [1, 2], descending=True) == [2, 1]
    assert transformed("json_stringify", {"a": 1}, indent=2) == '{\n  "a": 1\n}'


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("uppercase", 42, "wrong_input_type"),
        ("trim", None, "wrong_input_type"),
        ("length", 7, "wrong_input_type"),
        ("reverse", {}, "wrong_input_type"),
        ("keys", [], "wrong_input_type"),
        ("sort", [1, "a"], "wrong_input_type"),
        ("join", [["a"]], "wrong_input_type"),
        ("json_parse", "{", "invalid_json"),
        ("json_parse", "NaN", "invalid_json"),
        ("json_parse", "[" * 100_000, "invalid_json"),
        ("json_parse", '{"a":' * 5000 + "1" + "}" * 5000, "invalid_json"),
        ("to_number", "forty", "not_a_number"),
        ("replace", "abc", "missing_parameter"),
        ("shout", "abc", "invalid_config"),
    ],
)
def test_input_that_does_not_fit_fails_with_a_code(kind: str, value: JsonValue, code: str) -> None:
    """Wrong input fails the node with a stable code, depth bombs included."""
    with pytest.raises(HandlerError) as caught:
        transformed(kind, value)
    assert caught.value.code == code


def test_an_error_says_what_was_needed_and_what_came() -> None:
    """The message alone must let a user fix the workflow."""
    with pytest.raises(HandlerError, match="uppercase needs text as input, it got the number 42"):
        transformed("uppercase", 42)


def test_a_replacement_that_would_explode_is_refused_before_it_is_made() -> None:
    """A thousand characters must not become a gigabyte."""
    with pytest.raises(HandlerError) as caught:
        transformed("replace", "a" * 1000, old="a", new="b" * 1_000_000)
    assert caught.value.code == "result_too_large"


def test_a_misspelled_parameter_is_refused() -> None:
    """An unknown key is an error, not a parameter that does nothing."""
    with pytest.raises(HandlerError, match="unknown field `seperator`"):
        transformed("split", "a,b", seperator=",")
