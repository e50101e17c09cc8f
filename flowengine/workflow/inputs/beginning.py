"""All that is decided of an execution when it is triggered for the first time: its inputs, its vars, and the
conditions that read nothing else.

Pure: the time is an argument. One budget bounds all the templates together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from flowengine.errors import FlowEngineError
from flowengine.jsonvalue import JsonValue, decode, encode, pointer_to
from flowengine.template import Scope, TemplateError, analyse, render
from flowengine.template.budget import Budget
from flowengine.template.reference import EXECUTION, INPUTS, VARS
from flowengine.workflow.inputs.declared import MAX_BYTES
from flowengine.workflow.inputs.reading import templates_in
from flowengine.workflow.inputs.values import Occasion, Values, complete, scope_of
from flowengine.workflow.limits.declared import MadeKeys
from flowengine.workflow.limits.keys import KeyInvalidError, made_key, made_keys
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem

MAX_CHARS: Final = 1024 * 1024
"""What all templates of a beginning may make together."""


class VarsInvalidError(FlowEngineError):
    """A var, or the key of a limit, cannot be made. `problems` says which, and why."""

    code = "vars_invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__(problems[0].message)


class Beginning(msgspec.Struct, frozen=True):
    """What an execution begins with. `conditions`: what the `when` of nodes gives, by the node's id. `key`:
    that of its `concurrency`, where it has to be made; `keys`: those of nodes' limits."""

    inputs: Values
    vars: Values
    conditions: dict[str, bool]
    key: str | None = None
    keys: dict[str, MadeKeys] = {}


def begin(plan: Plan, given: Mapping[str, JsonValue], occasion: Occasion) -> Beginning:
    """What an execution begins with that was given this. Raises InputsInvalidError, VarsInvalidError."""
    budget = Budget(MAX_CHARS)
    inputs = complete(plan.inputs, given, occasion, budget)
    made = _vars(plan, inputs, occasion, budget)
    scope = scope_of(occasion, {INPUTS: inputs, **occasion.given, VARS: made})
    conditions, key = dict(_conditions(plan, scope, budget)), _key(plan, scope, budget)
    return Beginning(inputs, made, conditions, key, _keys(plan, scope, budget) if plan.keyed else {})


def key_of_another_run(plan: Plan, inputs: JsonValue, made: JsonValue, occasion: Occasion) -> str | None:
    """The key of the `concurrency` of an execution that begins again, where it has to be made, with these
    inputs and vars. Raises VarsInvalidError."""
    given = {INPUTS: inputs, **occasion.given, VARS: made}
    return _key(plan, scope_of(occasion, given), Budget(MAX_CHARS))


def _key(plan: Plan, scope: Scope, budget: Budget) -> str | None:
    try:
        return made_key(plan, scope, budget)
    except KeyInvalidError as error:
        raise VarsInvalidError((error.problem,)) from error


def _keys(plan: Plan, scope: Scope, budget: Budget) -> dict[str, MadeKeys]:
    try:
        return made_keys(plan, scope, budget)
    except KeyInvalidError as error:
        raise VarsInvalidError((error.problem,)) from error


def make_vars(late: Mapping[str, JsonValue], scope: Scope, budget: Budget) -> Iterator[tuple[str, JsonValue]]:
    """Vars that were not stored, in their order; each may read those before it. Raises TemplateError."""
    known = scope.given.get(VARS)
    made = dict(known) if isinstance(known, dict) else {}
    for name, value in late.items():
        within = msgspec.structs.replace(scope, given={**scope.given, VARS: made})
        made[name] = render(value, within, budget=budget, pointer=pointer_to("/vars", name))
        yield name, made[name]


def read_vars_of(late: Mapping[str, JsonValue], values: Sequence[JsonValue]) -> dict[str, JsonValue]:
    """Those of the vars that were not stored which the templates in these values read, in their order, with
    those that they read themselves."""
    wanted: set[str] = set()
    pending = list(values)
    for value in pending:
        for _, text in templates_in(value, ""):
            names = {name for root, name in analyse(text).given if root == VARS and name in late} - wanted
            wanted |= names
            pending.extend(late[name] for name in names)
    return {name: value for name, value in late.items() if name in wanted}


def _vars(plan: Plan, inputs: Values, occasion: Occasion, budget: Budget) -> Values:
    early = {name: decode(bytes(one.value)) for name, one in plan.vars.items() if not one.secret}
    scope = scope_of(occasion, {INPUTS: inputs, **occasion.given})
    made: Values = {}
    try:
        made.update(make_vars(early, scope, budget))
    except TemplateError as error:
        problem = Problem(code="vars_invalid", pointer=error.pointer, message=error.message)
        raise VarsInvalidError((problem,)) from error
    refuse_large_vars(made)
    return made


def refuse_large_vars(made: Values) -> None:
    """Raises VarsInvalidError where all vars together take too much."""
    size = len(encode(made))
    if size > MAX_BYTES:
        message = f"the vars take {size} bytes of JSON, the limit is {MAX_BYTES}"
        raise VarsInvalidError((Problem(code="vars_invalid", pointer="/vars", message=message),))


def _conditions(plan: Plan, scope: Scope, budget: Budget) -> Iterator[tuple[str, bool]]:
    """Those that are true, false or null. What fails is left to a worker, whose node fails with it."""
    for position, policy in plan.policies.items():
        if policy.when is None or not _reads_only_given(plan, policy.when):
            continue
        if position not in plan.main and _reads_execution(policy.when):
            continue  # hooks read there how the main nodes have ended
        try:
            value = render(policy.when, scope, budget=budget, pointer="/when")
        except TemplateError:
            continue
        if value is None or isinstance(value, bool):
            yield plan.nodes[position].id, bool(value)


def _reads_execution(when: str) -> bool:
    return any(root == EXECUTION for root, _ in analyse(when).given)


def _reads_only_given(plan: Plan, when: str) -> bool:
    """Whether a condition reads what is known at the trigger, and nothing else."""
    read = analyse(when)
    if not read.given or read.nodes or read.fates or read.all_fates or read.secrets:
        return False
    return not any(root == VARS and plan.vars[name].secret for root, name in read.given if name in plan.vars)
