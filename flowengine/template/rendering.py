"""Fills in the templates of a node's config: bounded and strict. What comes out is never rendered again.

A Scope says where values come from. The keys of objects are not templates.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from types import ModuleType
from typing import assert_never

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template.budget import Budget
from flowengine.template.compiling import Program, compiled, is_template
from flowengine.template.errors import (
    SecretMissingError,
    TemplateError,
    TemplateEvaluationError,
    TemplateUndefinedError,
)
from flowengine.template.field_lookup import look_up
from flowengine.template.json_values import json_size
from flowengine.template.reference import (
    FATE_KINDS,
    GIVEN_KINDS,
    MOMENT,
    PREVIOUS,
    PRIMARY,
    SECRET,
    UUID,
    Reference,
)


class Fate(msgspec.Struct, frozen=True):
    """What became of a node: its status and, if it failed, its error."""

    status: str
    error: dict[str, JsonValue] | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the templates of one node may read.

    `outputs`: node id -> output, for every node that the config reads. `primaries`: node id -> the field
    that `X.result` means there, or None. `secrets` returns the secret of a name, or raises LookupError. It
    is called only with names that a template reads. `fates`: what became of the nodes that the templates ask
    about, or whose output may be missing. `unseen`: nodes that had not ended, which are undefined here.
    `given`: what the execution is given, such as its `inputs`, by that name.

    `moment`, in milliseconds since 1970, is what `now()` says. `seed` is what `uuid()` is made of, together
    with the place of the call. The caller gives the same again whenever it renders the config for the same
    call of the handler, so that what the call sends stays the same. Where both are None, a template that
    asks for them fails.
    """

    outputs: Mapping[str, JsonValue]
    primaries: Mapping[str, str | None]
    secrets: Callable[[str], str]
    fates: Mapping[str, Fate] = {}
    unseen: Container[str] = ()
    given: Mapping[str, JsonValue] = {}
    moment: int | None = None
    seed: str | None = None


def render(
    config: JsonValue,
    scope: Scope,
    *,
    max_chars: int = 0,
    budget: Budget | None = None,
    pointer: str = "/config",
) -> JsonValue:
    """The config with every templated string replaced by what it gives.

    A string that is one whole expression gives its value, of any type. Any other string gives text, in which
    objects, lists, booleans and null appear as JSON. The answer may share parts with the scope's outputs, so
    do not change it in place. `max_chars` bounds the text made for the whole config (see Budget), if no
    `budget` is given that others share.

    Raises TemplateError; its `pointer` leads to the string, and begins with `pointer`.
    """
    return _render(config, scope, budget or Budget(max_chars), pointer)


def primary_value(output: JsonValue, primary: str | None) -> JsonValue:
    """What `X.result` means: the output's own `result`, else its primary field, else all of it."""
    if isinstance(output, dict):
        if "result" in output:
            return output["result"]
        if primary is not None and primary in output:
            return output[primary]
    return output


def _render(value: JsonValue, scope: Scope, budget: Budget, pointer: str) -> JsonValue:
    if isinstance(value, str):
        return _render_text(value, scope, budget, pointer) if is_template(value) else value
    if isinstance(value, dict):
        return {key: _render(item, scope, budget, pointer_to(pointer, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_render(item, scope, budget, pointer_to(pointer, place)) for place, item in enumerate(value)]
    if value is None or isinstance(value, int | float):
        return value
    assert_never(value)


def _render_text(text: str, scope: Scope, budget: Budget, pointer: str) -> JsonValue:
    try:
        return _run(compiled(text), scope, budget, pointer)
    except TemplateError as error:
        error.pointer = pointer
        raise
    except _jinja2().UndefinedError as error:
        raise TemplateUndefinedError(str(error), pointer=pointer) from None
    except (TypeError, RecursionError) as error:
        raise TemplateEvaluationError(f"the expression failed: {error}", pointer=pointer) from None
    except (ValueError, ArithmeticError, LookupError, _jinja2().TemplateError) as error:
        # The text of these may quote a value, which may be a secret.
        reason = type(error).__name__
        raise TemplateEvaluationError(f"the expression failed ({reason})", pointer=pointer) from None


def _jinja2() -> ModuleType:
    """Imported where something is not there or has gone wrong: simple templates do without it."""
    import jinja2

    return jinja2


def _run(program: Program, scope: Scope, budget: Budget, pointer: str) -> JsonValue:
    values = [_resolve(reference, scope, pointer) for reference in program.references]
    if program.value is not None:
        value = program.value(values, budget)
        budget.spend_whole(json_size(value, budget.whole_left))
        return value  # type: ignore[return-value]  # json_size has just seen that it is a JSON value
    pieces: list[str] = []
    for piece in program.pieces(values, budget) if program.pieces is not None else ():
        budget.spend_output(len(piece))
        pieces.append(piece)
    return "".join(pieces)


def _resolve(reference: Reference, scope: Scope, pointer: str) -> object:
    name = reference.name
    if reference.kind == SECRET:
        return _secret(name, scope)
    if reference.kind == MOMENT:
        return _given(scope.moment, "now() and today()")
    if reference.kind == UUID:
        return f"{_given(scope.seed, 'uuid()')}\n{pointer}\n{name}"
    if reference.kind in FATE_KINDS:
        return _fate(reference, scope)
    if reference.kind in GIVEN_KINDS:
        return _given_value(GIVEN_KINDS[reference.kind], name, scope)
    if name not in scope.outputs:
        return _jinja2().StrictUndefined(_no_output(name, scope))
    output = scope.outputs[name]
    return primary_value(output, scope.primaries.get(name)) if reference.kind == PRIMARY else output


def _secret(name: str, scope: Scope) -> str:
    try:
        return scope.secrets(name)
    except LookupError:
        raise SecretMissingError(
            f"there is no secret '{name}': set FLOWENGINE_SECRET_{name} (or ..._FILE) for the workers"
        ) from None


def _given(value: int | str | None, function: str) -> int | str:
    if value is None:
        raise TemplateEvaluationError(f"{function} cannot be used here: there is no call that they belong to")
    return value


def _given_value(root: str, name: str, scope: Scope) -> object:
    """All of `inputs`, or one of them; undefined where it is not there."""
    value = scope.given.get(root)
    if value is None:
        return _jinja2().StrictUndefined(f"there is no '{root}' here")
    return look_up(value, name, root) if name else value


def _fate(reference: Reference, scope: Scope) -> object:
    """`statuses`, `errors`, or one of what they hold. What is not known is undefined."""
    match reference.kind:
        case "statuses":
            return {node: fate.status for node, fate in scope.fates.items()}
        case "errors":
            return {node: fate.error for node, fate in scope.fates.items() if fate.error is not None}
    fate = scope.fates.get(reference.name)
    if fate is None:
        return _jinja2().StrictUndefined(_no_output(reference.name, scope))
    if reference.kind == "status":
        return fate.status
    if fate.error is None:
        return _jinja2().StrictUndefined(f"the node '{reference.name}' has no error: it is {fate.status}")
    return fate.error


def _no_output(name: str, scope: Scope) -> str:
    if name == PREVIOUS:
        return f"there is no '{PREVIOUS}' in the first iteration; `default` or `coalesce` gives another value"
    if name in scope.unseen:
        return f"the node '{name}' had not ended when this one was sent to a worker"
    fate = scope.fates.get(name)
    if fate is None:
        return f"the output of node '{name}' is not there to be read"
    became = "failed" if fate.status == "failed" else f"is {fate.status}"
    return f"the node '{name}' has no output: it {became}; `default` or `coalesce` gives another value"
