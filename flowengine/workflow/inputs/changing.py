"""Other inputs for an execution that has run, or another version of its definition: what that changes of what
it is given, and which nodes read it.

Pure: the time is an argument. One budget bounds all the templates together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.template import TemplateError, analyse
from flowengine.template.budget import Budget
from flowengine.template.reference import INPUTS, VARS
from flowengine.workflow.inputs.beginning import MAX_CHARS, VarsInvalidError, make_vars, refuse_large_vars
from flowengine.workflow.inputs.reading import templates_in
from flowengine.workflow.inputs.values import Occasion, Values, check_given, complete, scope_of
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem

Read = tuple[str, str]
"""What a template reads of what is given: `inputs` or `vars`, and a name in it; empty: all of it."""

_WHOLE: Final = ""


class Changed(msgspec.Struct, frozen=True):
    """What an execution is given from now on, and the main nodes that read something of it that has
    changed."""

    inputs: Values
    vars: Values
    readers: tuple[str, ...]


def change(
    plan: Plan,
    before: Mapping[str, JsonValue],
    made: Mapping[str, JsonValue],
    patch: Mapping[str, JsonValue],
    occasion: Occasion,
    was: Plan | None = None,
) -> Changed:
    """What follows where some inputs get other values. `before` and `made`: the inputs and vars so far.

    A var that reads what has changed is made anew, and no other: what stays was made of the others. An input
    that has its value from a default keeps it. `was`: the plan so far, where it was another: then an input
    goes that there is no more, a new one has its default, and a var that is another is made anew.
    Raises InputsInvalidError, VarsInvalidError.
    """
    budget = Budget(MAX_CHARS)
    if was is None:
        inputs = check_given(plan.inputs, {**before, **patch})
    else:
        kept = {name: value for name, value in before.items() if plan.inputs is None or name in plan.inputs}
        inputs = complete(plan.inputs, {**kept, **patch}, occasion, budget)
    changed = {(INPUTS, name) for name in _differing(before, inputs)}
    variables: Values = {}
    for name, one in plan.vars.items():
        value = decode(bytes(one.value))
        reads_changed = _reads(_texts([value]), changed) or (was is not None and was.vars.get(name) != one)
        if reads_changed:
            changed.add((VARS, name))
        if one.secret:
            continue  # it is made where it is read
        if not reads_changed:
            variables.update({name: made[name]} if name in made else {})
            continue
        given = {INPUTS: inputs, **occasion.given, VARS: variables}
        try:
            variables.update(make_vars({name: value}, scope_of(occasion, given), budget))
        except TemplateError as error:
            problem = Problem(code="vars_invalid", pointer=error.pointer, message=error.message)
            raise VarsInvalidError((problem,)) from error
    refuse_large_vars(variables)
    return Changed(inputs, variables, tuple(_readers(plan, changed)))


def _differing(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> list[str]:
    """The names whose values differ; one of them may lack a name."""
    return [
        name
        for name in dict.fromkeys([*before, *after])
        if name not in before or name not in after or encode(before[name]) != encode(after[name])
    ]


def _readers(plan: Plan, changed: Collection[Read]) -> Iterator[str]:
    if not changed:
        return
    for position in plan.main:
        if _reads(_texts_of(plan, position), changed):
            yield plan.nodes[position].id


def _texts_of(plan: Plan, position: int) -> Iterator[str]:
    """The templates of a node, and those of all nodes in a group."""
    policy = plan.policy(position)
    conditions = [policy.when, None if policy.retry is None else policy.retry.when]
    conditions += [] if policy.repeat is None else [text for _, text in policy.repeat.templates()]
    config = decode(bytes(plan.nodes[position].work.config))
    mapped = None if policy.map is None else decode(policy.map.spec.encode())
    yield from _texts([config, mapped, *(text for text in conditions if text is not None)])
    if policy.group is not None:
        inner = plan.group_at((position,))
        for inside in range(len(inner.nodes)):
            yield from _texts_of(inner, inside)


def _texts(values: Iterable[JsonValue]) -> Iterator[str]:
    for value in values:
        for _, text in templates_in(value, ""):
            yield text


def _reads(texts: Iterable[str], changed: Collection[Read]) -> bool:
    """Whether one of these templates reads something that has changed."""
    whole = {root for root, _ in changed}
    return any(
        read in changed or (read[1] == _WHOLE and read[0] in whole)
        for text in texts
        for read in analyse(text).given
    )
