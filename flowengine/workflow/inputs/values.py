"""The inputs of one execution: what a caller gave, checked, with defaults for the rest.

Pure: the time and all that defaults may read are arguments. Messages quote no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from flowengine.errors import FlowEngineError
from flowengine.jsonvalue import JsonValue, UnencodableError, decode, encode, pointer_to
from flowengine.nearest_name import nearest_name
from flowengine.template import Scope, TemplateError, analyse, render
from flowengine.template.budget import Budget
from flowengine.template.json_values import type_name
from flowengine.template.reference import EXECUTION, INPUTS, TRIGGER
from flowengine.workflow.inputs.declared import MAX_BYTES, MIN_SECRET_CHARS, Declared, Input
from flowengine.workflow.inputs.json_schema import misfits
from flowengine.workflow.inputs.reading import templates_in
from flowengine.workflow.inputs.subschemas import CheckWork
from flowengine.workflow.problems import Problem, did_you_mean, quoted

Values: TypeAlias = "dict[str, JsonValue]"
POINTER: Final = "/inputs"
MAX_PROBLEMS: Final = 200
MAX_NEAREST: Final = 20
"""So many unknown names are compared with those that there are."""


class InputsInvalidError(FlowEngineError):
    """Inputs do not fit what the workflow says of them. `problems` lists all that is wrong."""

    code = "inputs_invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: {problems[0].message}"
        )


class Occasion(msgspec.Struct, frozen=True):
    """What a default may read beside other inputs: `execution`, `trigger`, and the time, in milliseconds
    since 1970."""

    execution: Mapping[str, JsonValue]
    now: int
    trigger: Mapping[str, JsonValue] = {}

    @property
    def given(self) -> dict[str, JsonValue]:
        """These, by the names that templates have for them."""
        return {EXECUTION: dict(self.execution), TRIGGER: dict(self.trigger)}


def check_given(declared: Declared, given: Mapping[str, JsonValue]) -> Values:
    """What a caller gives, if it is right; what is missing may come later. Raises InputsInvalidError."""
    problems = _wrong(declared, given, CheckWork())
    if problems:
        raise InputsInvalidError(tuple(problems[:MAX_PROBLEMS]))
    return dict(given)


def complete(
    declared: Declared, given: Mapping[str, JsonValue], occasion: Occasion, budget: Budget
) -> Values:
    """All inputs of an execution that begins: those that are given, and defaults.

    `budget` is for all defaults together. Raises InputsInvalidError, with every problem.
    """
    left = CheckWork()
    problems = [
        *_wrong(declared, given, left),
        *(
            _problem("missing_input", name, f"the input {quoted(name)} is required")
            for name, one in (declared or {}).items()
            if one.must_be_given and name not in given
        ),
    ]
    if problems:
        raise InputsInvalidError(tuple(problems[:MAX_PROBLEMS]))
    values = dict(given)
    for name in _defaults_in_order(declared or {}, given):
        making = _Making(values, occasion, budget, left)
        values[name] = _default(name, (declared or {})[name], making, problems)
    if not problems:
        problems += _too_large(values)
    if problems:
        raise InputsInvalidError(tuple(problems[:MAX_PROBLEMS]))
    return {name: values[name] for name in (declared or values) if name in values}


class _Making(msgspec.Struct, frozen=True):
    """What a default is made of, and what may be done for it."""

    values: Values
    occasion: Occasion
    budget: Budget
    left: CheckWork


def _wrong(declared: Declared, given: Mapping[str, JsonValue], left: CheckWork) -> list[Problem]:
    """What is wrong with what is given, as far as a person would read it."""
    problems = _too_large(given)
    if declared is None or problems:
        return problems
    for name, value in given.items():
        one = declared.get(name)
        if len(problems) >= MAX_PROBLEMS:
            break
        if one is None:
            known = f" There are: {', '.join(list(declared)[:20])}" if declared else " The workflow has none"
            meant = nearest_name(name, declared) if len(problems) < MAX_NEAREST else None
            message = f"there is no input {quoted(name)}{did_you_mean(meant) or '.'}{known}"
            problems.append(_problem("unknown_input", name, message))
        else:
            problems += _misfits(name, one, value, left)
    return problems


def _misfits(name: str, one: Input, value: JsonValue, left: CheckWork) -> list[Problem]:
    found = [
        _problem("invalid_input", name, misfit.message, misfit.pointer)
        for misfit in misfits(bytes(one.schema), value, len(encode(value)), left)
    ]
    if one.secret and not found and (not isinstance(value, str) or len(value.strip()) < MIN_SECRET_CHARS):
        message = f"a secret has at least {MIN_SECRET_CHARS} characters, white space around it not counted"
        found.append(_problem("invalid_input", name, message))
    return found


def _too_large(values: Mapping[str, JsonValue]) -> list[Problem]:
    try:
        size = len(encode(values))
    except UnencodableError as error:
        return [Problem(code="invalid_input", pointer=POINTER, message=f"no JSON: {error}")]
    if size <= MAX_BYTES:
        return []
    message = (
        f"the inputs take {size} bytes of JSON, the limit is {MAX_BYTES}: "
        "keep large data in a service, and give its address"
    )
    return [Problem(code="inputs_too_large", pointer=POINTER, message=message)]


def _defaults_in_order(declared: Mapping[str, Input], given: Mapping[str, JsonValue]) -> list[str]:
    """The inputs that have a default and no value, each after those that its default reads."""
    left = {
        name: {other for _, text in _texts(one) for root, other in analyse(text).given if root == INPUTS}
        for name, one in declared.items()
        if one.has_default and name not in given
    }
    order: list[str] = []
    while free := [name for name, others in left.items() if not others & set(left)]:
        order += free
        for name in free:
            del left[name]
    return order


def _texts(one: Input) -> list[tuple[str, str]]:
    return list(templates_in(decode(bytes(one.default)), ""))


def _default(name: str, one: Input, making: _Making, problems: list[Problem]) -> JsonValue:
    default = decode(bytes(one.default))
    if not _texts(one):
        return default
    given = {INPUTS: making.values, **making.occasion.given}
    try:
        place = pointer_to(pointer_to(POINTER, name), "default")
        value = render(default, scope_of(making.occasion, given), budget=making.budget, pointer=place)
    except TemplateError as error:
        problems.append(_problem("invalid_input", name, f"its default cannot be rendered: {error.message}"))
        return None
    problems += [
        msgspec.structs.replace(wrong, message=f"its default gives {type_name(value)}: {wrong.message}")
        for wrong in _misfits(name, one, value, making.left)
    ]
    return value


def scope_of(occasion: Occasion, given: Mapping[str, JsonValue]) -> Scope:
    """What templates may read that are made when an execution begins."""
    return Scope(
        outputs={},
        primaries={},
        secrets=_no_secret,
        given=given,
        moment=occasion.now,
        seed=str(occasion.execution.get("id", "")),
    )


def _no_secret(name: str) -> str:
    raise LookupError(name)


def _problem(code: str, name: str, message: str, below: str = "") -> Problem:
    return Problem(code=code, pointer=pointer_to(POINTER, name[:200]) + below, message=message)
