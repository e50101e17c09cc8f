"""The Jinja2 environment that expressions run in: immutable, strict, and empty but for what is listed.

It goes further than Jinja2's own sandbox: nothing here ever reads a Python attribute, calls what a template
names, or makes a value without asking the budget. Values are plain JSON, so `x.items` can only be a field.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.field_lookup import look_up
from flowengine.template.functions import all_filters, calls
from flowengine.template.functions.comparison import compare
from flowengine.template.functions.operators import binary, concatenate, take_slice, unary
from flowengine.template.functions.predicates import TESTS
from flowengine.template.json_values import to_text

BUDGET: Final = "budget"
CONCATENATE: Final = "~"
SLICE: Final = "[:]"
COMPARE: Final = "<=>"
_TAKE_UNDEFINED: Final = all_filters.TAKES_UNDEFINED | frozenset(map(calls.as_filter, calls.TAKES_UNDEFINED))


def budget_of(context: Context) -> Budget:
    """The budget of the rendering that this context belongs to."""
    budget: Budget = context.parent[BUDGET]
    return budget


def _with_budget(
    function: Callable[..., object], *, value_must_be: bool, arguments_must_be: bool
) -> Callable[..., object]:
    """The function as Jinja2 calls it. What must be there raises UndefinedError where it is not."""

    @pass_context
    @wraps(function)
    def call(context: Context, value: object, *arguments: object, **named: object) -> object:
        if value_must_be:
            _present(value)
        if arguments_must_be:
            for item in (*arguments, *named.values()):
                _present(item)
        return function(budget_of(context), value, *arguments, **named)

    return call


def _present(value: object) -> None:
    if isinstance(value, Undefined):
        str(value)  # raises UndefinedError


@pass_context
def _finalize(context: Context, value: object) -> str:
    return to_text(value, budget_of(context))


class Sandbox(ImmutableSandboxedEnvironment):
    """Evaluates the expressions that `flowengine.template.grammar` let through and rewrote."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset({"+", "-"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            optimized=False,
            keep_trailing_newline=True,
            finalize=_finalize,
            cache_size=0,
        )
        self.globals.clear()
        own: dict[str, Callable[..., object]] = {
            **all_filters.FILTERS,
            **{calls.as_filter(name): function for name, function in calls.FUNCTIONS.items()},
            CONCATENATE: concatenate,
            SLICE: take_slice,
            COMPARE: compare,
        }
        self.filters = {
            name: _with_budget(
                function,
                value_must_be=name not in _TAKE_UNDEFINED,
                arguments_must_be=name not in _TAKE_UNDEFINED,
            )
            for name, function in own.items()
        }
        # A test looks at its value itself: `x is defined`.
        self.tests = {
            name: _with_budget(function, value_must_be=False, arguments_must_be=True)
            for name, function in TESTS.items()
        }

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic, bounded."""
        for side in (left, right):
            _present(side)
        return binary(operator, left, right, budget_of(context))

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """A sign, bounded."""
        _present(arg)
        return unary(operator, arg)

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Nothing may be called, whatever it is."""
        raise TemplateEvaluationError("templates cannot call anything")

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Never a Python attribute: a field of an object, or undefined."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The field or item. `argument` is the key, or (key, what `obj` is called in the template)."""
        key, label = argument if isinstance(argument, tuple) else (argument, None)
        return look_up(obj, key, label)
