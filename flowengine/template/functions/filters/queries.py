"""The filter `jmespath`: the library's own language and interpreter, with every step paid for.

A query of 500 characters can double a list sixty times. So each visit, each item of a list that is made and
each item that a function walks is taken from the budget first.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from jmespath.exceptions import (
    IncompleteExpressionError,
    JMESPathError,
    JMESPathTypeError,
    LexerError,
    ParseError,
)
from jmespath.functions import Functions, signature
from jmespath.parser import ParsedResult, Parser
from jmespath.visitor import Options, TreeInterpreter

from flowengine.jsonvalue import UnencodableError, encode
from flowengine.plaintext import plain_text
from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import CALL_COST, KEEP_COST, LOOK_COST
from flowengine.template.functions.comparison import comparison_cost, search_cost
from flowengine.template.functions.filters.reshaping import flatten
from flowengine.template.json_values import checked_number, is_number, to_json, type_name

MAX_QUERY_CHARS: Final = 500
MAX_DEPTH: Final = 100
MAX_REASON_CHARS: Final = 60
VISIT_COST: Final = 100
_TWO: Final = 2


class QueryError(ValueError):
    """The query is no JMESPath; the message says why and may quote the query."""


def jmespath(budget: Budget, value: object, query: object) -> object:
    """What the query finds; null where it finds nothing."""
    if not isinstance(query, str):
        raise TemplateEvaluationError(f"'jmespath' takes a query as text, not {type_name(query)}")
    budget.spend_work(CALL_COST * min(len(query), MAX_QUERY_CHARS))
    try:
        parsed = compiled(query)
    except QueryError as error:
        # What it says may quote the query, which may be data.
        raise TemplateEvaluationError("'jmespath' takes a query of JMESPath, this is none") from error
    try:
        return _Interpreter(budget).visit(parsed.parsed, value)
    except JMESPathTypeError as error:
        raise TemplateEvaluationError(
            f"'jmespath': the function '{error.function_name}' takes "
            f"{' or '.join(map(str, error.expected_types))}, not {error.actual_type}"
        ) from error
    except ValueError as error:  # a wrong number of arguments, a slice with step 0
        raise TemplateEvaluationError(f"'jmespath': the query fails ({type(error).__name__})") from error


@lru_cache(256)
def compiled(query: str) -> ParsedResult:
    """The query as a tree. Raises QueryError."""
    if len(query) > MAX_QUERY_CHARS:
        raise QueryError(f"it has {len(query)} characters, at most {MAX_QUERY_CHARS} are allowed")
    try:
        parsed = Parser().parse(query)
        _check(parsed.parsed)
    except IncompleteExpressionError as error:
        raise QueryError("it ends too early") from error
    except ParseError as error:
        reason = error.message if isinstance(error, LexerError) else error.msg
        raise QueryError(f"{plain_text(reason[:MAX_REASON_CHARS])}, at {error.lex_position}") from error
    except JMESPathError as error:
        raise QueryError("it is empty") from error
    except UnencodableError as error:
        raise QueryError(f"it holds a value that JSON cannot carry: {error}") from error
    except RecursionError as error:
        raise QueryError("it is nested too deeply") from error
    return parsed


def _check(tree: Any) -> None:
    """Refuses a query that the interpreter could not walk, or that holds what JSON cannot carry.

    Raises QueryError, UnencodableError.
    """
    level: list[Any] = [tree]
    for _ in range(MAX_DEPTH):
        for node in level:
            if node["type"] == "function_expression" and node["value"] not in _Functions.FUNCTION_TABLE:
                raise QueryError(f"there is no function '{node['value'][:MAX_REASON_CHARS]}'")
            if node["type"] == "literal":
                encode(node["value"])
        level = [child for node in level for child in _parts(node)]
    if level:
        raise QueryError(f"it is nested more than {MAX_DEPTH} deep")


def _parts(node: Any) -> list[Any]:
    # The children of a slice are its bounds.
    return [child for child in node.get("children", ()) if isinstance(child, dict)]


class _Functions(Functions):
    """JMESPath's functions, each paid for by what it walks."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        """The function's value. Raises TemplateTooLargeError before it does too much."""
        arguments = list(resolved_args)
        for argument in arguments:
            if isinstance(argument, str):
                self._budget.spend_work(len(argument))
            elif isinstance(argument, list | dict):
                length = len(argument)
                self._budget.spend_work(length * (KEEP_COST + length.bit_length()))
        if function_name == "contains" and len(arguments) == _TWO:
            self._pay_for_search(*arguments)
        if function_name == "join" and len(arguments) == _TWO:
            self._pay_for_join(*arguments)
        value = super().call_function(function_name, arguments)
        return checked_number(value) if is_number(value) else value

    def _pay_for_search(self, subject: Any, search: Any) -> None:
        if isinstance(subject, list | str):
            self._budget.spend_work(search_cost(self._budget, search, subject))

    def _pay_for_join(self, separator: Any, items: Any) -> None:
        if isinstance(separator, str) and isinstance(items, list):
            self._budget.spend_work(
                len(separator) * len(items) + sum(len(item) for item in items if isinstance(item, str))
            )

    @signature({"types": []})
    def _func_to_string(self, arg: Any) -> str:
        return arg if isinstance(arg, str) else to_json(arg, self._budget)


class _Interpreter(TreeInterpreter):
    """Walks the tree of a query, and pays for every visit."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(Options(custom_functions=_Functions(budget)))
        self._budget = budget

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._budget.spend_work(VISIT_COST)
        return super().visit(node, *args, **kwargs)

    def visit_flatten(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        return flatten(self._budget, base)

    def visit_slice(self, node: Any, value: Any) -> Any:
        if isinstance(value, list):
            self._budget.spend_work(LOOK_COST * len(value))
        return super().visit_slice(node, value)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        self._budget.spend_work(comparison_cost(self._budget, left, right))
        sides = [{"type": "literal", "value": side, "children": []} for side in (left, right)]
        compared: Any = {**node, "children": sides}
        return super().visit_comparator(compared, None)
