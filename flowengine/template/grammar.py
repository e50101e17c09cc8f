"""Which expressions templates may use, and what they read: an allow-list over Jinja2's syntax tree.

What is not listed is refused, so a new construct of Jinja2 is refused until someone looks at it. The tree is
rewritten on the way: every root becomes a numbered variable (a template's own names never reach the generated
code), field access gets a label for messages, and `~`, slices, comparisons and calls become bounded filters.
Evaluates nothing.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from jinja2 import nodes

from flowengine.template.errors import TemplateEvaluationError, TemplateForbiddenError
from flowengine.template.functions import argument_checks
from flowengine.template.functions.all_filters import FILTERS
from flowengine.template.functions.argument_checks import COMPUTED
from flowengine.template.functions.calls import FUNCTIONS, GIVEN_TO_CALLS, as_filter
from flowengine.template.functions.predicates import TESTS
from flowengine.template.json_values import MAX_INTEGER, MIN_INTEGER
from flowengine.template.reference import (
    ERRORS,
    FATES,
    GIVEN,
    NODES,
    OF_NODES,
    SECRETS,
    STATUSES,
    UUID,
    FieldRead,
    Reference,
)
from flowengine.template.sandbox import COMPARE, CONCATENATE, SLICE

MAX_DEPTH = 24
STATEMENTS_FORBIDDEN = (
    "statements ({% ... %}) are not allowed: only expressions, {{ ... }}; "
    "use '{{ a if condition else b }}' for a condition"
)
_LETS_BE_ABSENT = frozenset({"d", "default", "defined", "undefined"})
"""The filters and tests whose value may be a field that does not exist."""

_LETS_ARGUMENTS_BE_ABSENT = frozenset({"coalesce"})
"""The functions whose arguments may be such fields."""

_NO_NODES = frozenset({NODES, SECRETS, STATUSES, ERRORS})
"""Names that no node has."""

_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Pow: "'**' is not allowed; use a compute node",
    nodes.Tuple: "write a list: [a, b]",
}


class Expressions:
    """Reads the expressions of one template: checks and rewrites them, and collects what they refer to.

    `references` gives each root its number: the rewritten tree calls number `i` `variable(i)`. `fields` are
    those that they read.
    """

    def __init__(self) -> None:
        self.references: dict[Reference, int] = {}
        self.fields: dict[FieldRead, None] = {}
        self.needed: dict[str, None] = {}
        """The nodes whose output must be there."""
        self._may_be_absent: list[FieldRead] = []
        self._calls = 0
        self._depth = 0

    def rewrite(self, node: nodes.Expr) -> nodes.Expr:
        """The expression, checked and rewritten. Raises TemplateForbiddenError."""
        rule = _RULES.get(type(node))
        if rule is None:
            reason = _REFUSED.get(type(node), f"'{type(node).__name__}' is not allowed in a template")
            raise TemplateForbiddenError(reason)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateForbiddenError(f"the expression is nested more than {MAX_DEPTH} deep")
        result = rule(self, node)
        self._depth -= 1
        return result

    def refer(self, kind: str, name: str) -> nodes.Expr:
        """The variable that stands for this root."""
        if kind in OF_NODES:
            self.needed[name] = None
        position = self.references.setdefault(Reference(kind, name), len(self.references))
        return nodes.Name(variable(position), "load")

    def give(self, function: str) -> nodes.Expr:
        """The variable that stands for what the rendering gives this call of a function, null if nothing.

        Two calls in one template are given different names: each `uuid()` has a value of its own.
        """
        self._calls += 1
        kind = GIVEN_TO_CALLS.get(function)
        if kind is None:
            return nodes.Const(None)
        return self.refer(kind, str(self._calls) if kind == UUID else "")

    def let_be_absent(self, value: nodes.Expr, needed_elsewhere: dict[FieldRead, None]) -> None:
        """Note that this value, which has just been rewritten, may be a field that does not exist."""
        read = _field_read(value)
        if read is not None:
            self.fields = needed_elsewhere
            self._may_be_absent.append(read)

    def needed_fields(self) -> tuple[FieldRead, ...]:
        """The fields that must be there. One that is asked about (`x.a is defined`) may be absent."""
        return tuple(read for read in self.fields if not any(map(read.is_at_or_below, self._may_be_absent)))

    def all(self, items: list[nodes.Expr]) -> list[nodes.Expr]:
        """All the expressions, checked and rewritten."""
        return [self.rewrite(item) for item in items]


def variable(position: int) -> str:
    """The name that the rewritten tree uses for the reference at `position`."""
    return f"reference_{position}"


def _name(reading: Expressions, node: nodes.Name) -> nodes.Expr:
    if node.ctx != "load":
        raise TemplateForbiddenError("assignments are not allowed in a template")
    if node.name == NODES:
        raise TemplateForbiddenError(f'name a node: {{{{ {NODES}["node-id"].result }}}}')
    if node.name == SECRETS:
        raise TemplateForbiddenError(f"name a secret: {{{{ {SECRETS}.NAME }}}}")
    if node.name in FATES or node.name in GIVEN:
        return reading.refer(node.name, "")
    return reading.refer("output", node.name)


def _access(reading: Expressions, node: nodes.Getattr | nodes.Getitem) -> nodes.Expr:
    key = _literal_key(node)
    _refuse_private(node, key)
    read = _field_read(node)
    if read is not None:
        reading.fields[read] = None
    root = node.node.name if isinstance(node.node, nodes.Name) else None
    if root in _NO_NODES:
        return _refer_by_key(reading, str(root), key)
    if root in GIVEN and isinstance(key, str):
        return reading.refer(GIVEN[root], key)
    if key == "result":
        owner = _node_id(node.node)
        if owner is not None:
            return reading.refer("primary", owner)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        bounds = [
            reading.rewrite(bound) if bound is not None else nodes.Const(None)
            for bound in (node.arg.start, node.arg.stop, node.arg.step)
        ]
        return _filter(reading.rewrite(node.node), SLICE, bounds)
    if key is not None:
        return nodes.Getitem(reading.rewrite(node.node), nodes.Const((key, _label(node.node))), "load")
    assert isinstance(node, nodes.Getitem)
    return nodes.Getitem(reading.rewrite(node.node), reading.rewrite(node.arg), "load")


def _literal_key(node: nodes.Getattr | nodes.Getitem) -> str | int | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node.arg, nodes.Const) and type(node.arg.value) in (str, int):
        key: str | int = node.arg.value
        return key
    return None


def _refuse_private(node: nodes.Getattr | nodes.Getitem, key: str | int | None) -> None:
    if not isinstance(key, str):
        return
    if isinstance(node, nodes.Getattr) and key.startswith("_"):
        raise TemplateForbiddenError(
            f"attributes that start with '_' are not allowed; write [{key!r}] for a field"
        )
    if key.startswith("__"):
        raise TemplateForbiddenError("fields that start with '__' are not allowed")


def _refer_by_key(reading: Expressions, root: str, key: str | int | None) -> nodes.Expr:
    if not isinstance(key, str):
        example = f"{SECRETS}.NAME" if root == SECRETS else f'{root}["node-id"]'
        raise TemplateForbiddenError(
            f"'{root}[...]' takes a literal name, as in {{{{ {example} }}}}: "
            "what a template reads is checked before the workflow runs"
        )
    if root == NODES:
        return reading.refer("output", key)
    if root in FATES:
        return reading.refer(FATES[root], key)
    if not _SECRET_NAME.fullmatch(key):
        raise TemplateForbiddenError("a secret's name is made of letters, digits and _, 128 at most")
    return reading.refer("secret", key)


def _node_id(node: nodes.Expr) -> str | None:
    """The node whose whole output this expression is, if it is one."""
    if isinstance(node, nodes.Name):
        return None if node.name in _NO_NODES or node.name in GIVEN else node.name
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        key = _literal_key(node)
        if isinstance(node.node, nodes.Name) and node.node.name == NODES and isinstance(key, str):
            _refuse_private(node, key)
            return key
    return None


def _field_read(node: nodes.Expr) -> FieldRead | None:
    """The fields between a node's output, or what is given, and this expression, if it only reads."""
    keys: list[str | int] = []
    while (name := _node_id(node)) is None:
        if isinstance(node, nodes.Name) and node.name in GIVEN:
            return FieldRead(node.name, False, tuple(keys)) if keys else None
        if not isinstance(node, nodes.Getattr | nodes.Getitem) or (key := _literal_key(node)) is None:
            return None
        keys.insert(0, key)
        node = node.node
    is_primary = keys[:1] == ["result"]
    return FieldRead(name, is_primary, tuple(keys[is_primary:])) if keys[is_primary:] else None


def _label(node: nodes.Expr) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_label(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        key = _literal_key(node)
        if isinstance(key, str) and _SIMPLE_KEY.fullmatch(key) is None:
            return f"{_label(node.node)}[{key!r}]"
        return f"{_label(node.node)}.{key}" if key is not None else f"{_label(node.node)}[...]"
    return "the value"


def _constant(reading: Expressions, node: nodes.Const) -> nodes.Expr:
    value = node.value
    if type(value) is int and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise TemplateForbiddenError("integers of more than 64 bits are not allowed")
    if type(value) is float and not math.isfinite(value):
        raise TemplateForbiddenError("numbers that are not finite are not allowed")
    if value is not None and type(value) not in (str, int, float, bool):
        raise TemplateForbiddenError("only text, numbers, true, false and none can be written in a template")
    return node


def _text(reading: Expressions, node: nodes.TemplateData) -> nodes.Expr:
    return node


def _list(reading: Expressions, node: nodes.List) -> nodes.Expr:
    return nodes.List(reading.all(node.items))


def _dict(reading: Expressions, node: nodes.Dict) -> nodes.Expr:
    pairs = []
    for pair in node.items:
        if not isinstance(pair.key, nodes.Const) or not isinstance(pair.key.value, str):
            raise TemplateForbiddenError("the keys of an object are literal texts: {'key': value}")
        pairs.append(nodes.Pair(pair.key, reading.rewrite(pair.value)))
    return nodes.Dict(pairs)


def _binary(reading: Expressions, node: nodes.BinExpr) -> nodes.Expr:
    return type(node)(reading.rewrite(node.left), reading.rewrite(node.right))


def _unary(reading: Expressions, node: nodes.UnaryExpr) -> nodes.Expr:
    return type(node)(reading.rewrite(node.node))


def _concat(reading: Expressions, node: nodes.Concat) -> nodes.Expr:
    return _filter(nodes.List(reading.all(node.nodes)), CONCATENATE, [])


def _compare(reading: Expressions, node: nodes.Compare) -> nodes.Expr:
    operands = [node.expr, *(operand.expr for operand in node.ops)]
    symbols = nodes.Const(tuple(operand.op for operand in node.ops))
    return _filter(nodes.List(reading.all(operands)), COMPARE, [symbols])


def _conditional(reading: Expressions, node: nodes.CondExpr) -> nodes.Expr:
    if node.expr2 is None:
        raise TemplateForbiddenError("write the other case too: {{ a if condition else b }}")
    return nodes.CondExpr(*reading.all([node.test, node.expr1, node.expr2]))


def _filtered(reading: Expressions, node: nodes.Filter) -> nodes.Expr:
    return _applied(reading, node, FILTERS, "filter", argument_checks.check_filter)


def _tested(reading: Expressions, node: nodes.Test) -> nodes.Expr:
    return _applied(reading, node, TESTS, "test", argument_checks.check_test)


def _called(reading: Expressions, node: nodes.Call) -> nodes.Expr:
    name = node.node.name if isinstance(node.node, nodes.Name) else None
    if name not in FUNCTIONS:
        called = f"'{name}' cannot be called" if name else "only functions can be called"
        raise TemplateForbiddenError(
            f"{called}; there are: {', '.join(f'{each}()' for each in sorted(FUNCTIONS))}. "
            "All else is a filter: {{ x.items() }} is {{ x.items }} or {{ x|items }}"
        )
    _check_arguments(name, FUNCTIONS[name], node, "function", argument_checks.check_function)
    arguments, before = [], dict(reading.needed)
    for argument in node.args:
        needed = dict(reading.fields)
        arguments.append(reading.rewrite(argument))
        if name in _LETS_ARGUMENTS_BE_ABSENT:
            reading.let_be_absent(argument, needed)
    named = [nodes.Keyword(item.key, reading.rewrite(item.value)) for item in node.kwargs]
    if name in _LETS_ARGUMENTS_BE_ABSENT:
        reading.needed = before
    return nodes.Filter(reading.give(name), as_filter(name), arguments, named, None, None)


def _check_arguments(
    name: str,
    function: Callable[..., object],
    node: nodes.Filter | nodes.Test | nodes.Call,
    kind: str,
    check: Callable[[str, Mapping[str, Any]], None],
) -> None:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise TemplateForbiddenError(f"the {kind} '{name}' takes its arguments one by one, without '*'")
    literals = [_literal(argument) for argument in node.args]
    try:
        bound = inspect.signature(function).bind(
            None, None, *literals, **{str(item.key): _literal(item.value) for item in node.kwargs}
        )
    except TypeError as error:
        raise TemplateForbiddenError(f"the {kind} '{name}': {error}") from error
    try:
        check(name, bound.arguments)
    except TemplateEvaluationError as error:
        raise TemplateForbiddenError(error.message) from error


def _literal(node: nodes.Expr) -> object:
    return node.value if isinstance(node, nodes.Const) else COMPUTED


def _applied(
    reading: Expressions,
    node: nodes.Filter | nodes.Test,
    known: dict[str, Callable[..., object]] | dict[str, Callable[..., bool]],
    kind: str,
    check: Callable[[str, Mapping[str, Any]], None],
) -> nodes.Expr:
    function = known.get(node.name)
    if function is None or node.node is None:
        raise TemplateForbiddenError(
            f"there is no {kind} '{node.name}'; there are: {', '.join(sorted(known))}"
        )
    _check_arguments(node.name, function, node, kind, check)
    before = dict(reading.needed)
    named = [nodes.Keyword(item.key, reading.rewrite(item.value)) for item in node.kwargs]
    arguments = reading.all(node.args)
    fields, needed = dict(reading.fields), before if node.name in _LETS_BE_ABSENT else dict(reading.needed)
    value = reading.rewrite(node.node)
    if node.name in _LETS_BE_ABSENT:
        reading.let_be_absent(node.node, fields)
        reading.needed = needed
    return type(node)(value, node.name, arguments, named, None, None)


def _filter(value: nodes.Expr, name: str, arguments: list[nodes.Expr]) -> nodes.Filter:
    return nodes.Filter(value, name, arguments, [], None, None)


_RULES: dict[type[nodes.Node], Callable[..., nodes.Expr]] = {
    nodes.Name: _name,
    nodes.Getattr: _access,
    nodes.Getitem: _access,
    nodes.Const: _constant,
    nodes.TemplateData: _text,
    nodes.List: _list,
    nodes.Dict: _dict,
    nodes.Add: _binary,
    nodes.Sub: _binary,
    nodes.Mul: _binary,
    nodes.Div: _binary,
    nodes.FloorDiv: _binary,
    nodes.Mod: _binary,
    nodes.And: _binary,
    nodes.Or: _binary,
    nodes.Neg: _unary,
    nodes.Pos: _unary,
    nodes.Not: _unary,
    nodes.Concat: _concat,
    nodes.Compare: _compare,
    nodes.CondExpr: _conditional,
    nodes.Filter: _filtered,
    nodes.Test: _tested,
    nodes.Call: _called,
}


class Reading(msgspec.Struct, frozen=True):
    """The parts of a template, rewritten, what they read, and which of it must be there."""

    parts: list[nodes.Expr]
    references: list[Reference]
    fields: tuple[FieldRead, ...]
    needed: tuple[str, ...]


def read_template(tree: nodes.Template) -> Reading:
    """What a parsed template holds.

    Raises TemplateForbiddenError for statements and for expressions that are not on the list.
    """
    reading = Expressions()
    parts: list[nodes.Expr] = []
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            raise TemplateForbiddenError(STATEMENTS_FORBIDDEN)
        parts.extend(reading.all(node.nodes))
    return Reading(parts, list(reading.references), reading.needed_fields(), tuple(reading.needed))
