"""`compute` and `aggregate`: right numbers, and clear errors for what is no number."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from tests.support.rigs.handler_runs import running


def run(name: str, config: dict[str, JsonValue]) -> JsonValue:
    """The `result` of a handler that needs no network."""
    with running() as runs:
        return runs.run(name, config)["result"]


def code_of(name: str, config: dict[str, JsonValue]) -> str:
    """The code of the error that a handler fails with."""
    with pytest.raises(HandlerError) as caught:
        run(name, config)
    return caught.value.code


@pytest.mark.parametrize(
    ("operation", "a", "b", "expected"),
    [
        ("add", 2, 3, 5),
        ("add", 0.5, 1, 1.5),
        ("subtract", 2, 3, -1),
        ("multiply", 6, 7, 42),
        ("divide", 6, 3, 2),
        ("divide", 7, 2, 3.5),
        ("divide", 10**30, 10**29, 10),
        ("power", 2, 10, 1024),
        ("power", 2, -1, 0.5),
        ("power", 9, 0.5, 3.0),
        ("modulo", 7, 3, 1),
        ("modulo", -7, 3, 2),
        ("min", 2, 1.5, 1.5),
        ("max", 2, 1.5, 2),
        ("add", "40", " 2 ", 42),
        ("multiply", "1.5e1", "2", 30.0),
    ],
)
def test_operations_give_exact_results_and_keep_integers(
    operation: str, a: JsonValue, b: JsonValue, expected: JsonValue
) -> None:
    """Integers stay integers where the result is exact; text that spells a number is one."""
    result = run("compute", {"operation": operation, "a": a, "b": b})
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("operation", "a", "b", "code"),
    [
        ("divide", 1, 0, "division_by_zero"),
        ("divide", 1.0, 0.0, "division_by_zero"),
        ("modulo", 1, 0, "division_by_zero"),
        ("power", 0, -1, "division_by_zero"),
        ("power", -1, 0.5, "not_a_number"),
        ("add", "abc", 1, "not_a_number"),
        ("add", "", 1, "not_a_number"),
        ("add", "nan", 1, "not_a_number"),
        ("add", "inf", 1, "not_a_number"),
        ("add", "1e999", 1, "not_a_number"),
        ("add", "٤٢", 1, "not_a_number"),
        ("add", "9" * 399, 1, "result_too_large"),
        ("power", 10, 400, "result_too_large"),
        ("power", 2, 10**18, "result_too_large"),
        ("power", 10.0, 400, "result_too_large"),
        ("multiply", 1e308, 10, "result_too_large"),
        ("add", True, 1, "invalid_config"),
        ("add", None, 1, "invalid_config"),
        ("root", 1, 1, "invalid_config"),
    ],
)
def test_what_has_no_result_fails_with_its_own_code(
    operation: str, a: JsonValue, b: JsonValue, code: str
) -> None:
    """Each kind of arithmetic failure has a stable code, and no huge power is ever worked out."""
    assert code_of("compute", {"operation": operation, "a": a, "b": b}) == code


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("sum", [1, 2, 3], 6),
        ("sum", [], 0),
        ("sum", [0.1] * 10, 1.0),
        ("sum", [1, "2", 0.5], 3.5),
        ("average", [1, 3], 2),
        ("average", [1, 2], 1.5),
        ("min", [3, 1, 2], 1),
        ("max", [3, "10", 2], 10),
        ("max", ["pear", "apple"], "pear"),
        ("count", [None, [], "x"], 3),
        ("list", [1, "a", None], [1, "a", None]),
        ("concat", ["a", 1, True, "b"], "a1trueb"),
        ("concat", [[1], [2, 3]], [1, 2, 3]),
        ("concat", [], ""),
        ("merge", [{"a": 1, "b": 1}, {"b": 2}], {"a": 1, "b": 2}),
        ("merge", [], {}),
    ],
)
def test_aggregates_combine_their_inputs(kind: str, inputs: JsonValue, expected: JsonValue) -> None:
    """Every aggregate type gives what its name says."""
    assert run("aggregate", {"inputs": inputs, "aggregate_type": kind}) == expected


def test_concat_puts_the_separator_between_texts() -> None:
    """`separator` goes between, not after."""
    assert run("aggregate", {"inputs": ["a", "b"], "aggregate_type": "concat", "separator": ", "}) == "a, b"


@pytest.mark.parametrize(
    ("kind", "inputs", "code"),
    [
        ("average", [], "empty_inputs"),
        ("min", [], "empty_inputs"),
        ("max", [], "empty_inputs"),
        ("sum", [1, None], "not_a_number"),
        ("sum", [1, "x"], "not_a_number"),
        ("sum", [1e308, 1e308], "result_too_large"),
        ("max", [1, "x"], "not_a_number"),
        ("concat", ["a", {}], "wrong_input_type"),
        ("merge", [{}, 1], "wrong_input_type"),
        ("sum", "12", "invalid_config"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(kind: str, inputs: JsonValue, code: str) -> None:
    """An input of the wrong kind fails the node with a code of its own."""
    assert code_of("aggregate", {"inputs": inputs, "aggregate_type": kind}) == code


def test_an_error_names_the_input_at_fault() -> None:
    """A user with a hundred inputs must not search for the bad one."""
    with pytest.raises(HandlerError, match=r"inputs\[1\] must be a number, it is the text 'x'"):
        run("aggregate", {"inputs": [1, "x"], "aggregate_type": "sum"})
