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
from flowengine.template.functions.comparison import compare
from flowengine.template.functions.filters import FILTERS, TAKES_UNDEFINED
from flowengine.template.functions.operators import binary, concatenate, take_slice, unary
from flowengine.template.functions.predicates import TESTS
from flowengine.template.json_values import to_text

BUDGET: Final = "budget"
CONCATENATE: Final = "~"
SLICE: Final = "[:]"
COMPARE: Final = "<=>"


def budget_of(context: Context) -> Budget:
    """The budget of the rendering that this context belongs to."""
    budget: Budget = context.parent[BUDGET]
    return budget


def _with_budget(
    function: Callable[..., object], *, value_may_be_undefined: bool, arguments_may_be: bool = False
) -> Callable[..., object]:
    @pass_context
    @wraps(function)
    def call(context: Context, value: object, *arguments: object, **named: object) -> object:
        checked = () if arguments_may_be else (*arguments, *named.values())
        for item in checked if value_may_be_undefined else (value, *checked):
            if isinstance(item, Undefined):
                str(item)  # raises UndefinedError
        return function(budget_of(context), value, *arguments, **named)

    return call


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
            **FILTERS,
            CONCATENATE: concatenate,
            SLICE: take_slice,
            COMPARE: compare,
        }
        self.filters = {
            name: _with_budget(
                function,
                value_may_be_undefined=name in TAKES_UNDEFINED,
                arguments_may_be=name in TAKES_UNDEFINED,
            )
            for name, function in own.items()
        }
        self.tests = {
            name: _with_budget(function, value_may_be_undefined=True) for name, function in TESTS.items()
        }

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic, bounded."""
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises UndefinedError
        return binary(operator, left, right, budget_of(context))

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """A sign, bounded."""
        if isinstance(arg, Undefined):
            str(arg)  # raises UndefinedError
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
