"""The key of a limit, made when an execution is triggered or a node is due. Pure: all that it reads is an
argument."""

from __future__ import annotations

from typing import Final

from flowengine.jsonvalue import JsonValue
from flowengine.template import Scope, TemplateError, render
from flowengine.template.budget import Budget
from flowengine.template.json_values import type_name
from flowengine.workflow.limits.declared import (
    FIELD,
    MAX_KEY_CHARS,
    RATE_FIELD,
    KeyTemplates,
    MadeKeys,
    NodeConcurrency,
    RateLimit,
)
from flowengine.workflow.limits.plain import wrong_key
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem
from flowengine.workflow.stages import HOOKS

POINTER: Final = "/concurrency/key"


class KeyInvalidError(ValueError):
    """A key cannot be made. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.message)


def made_key(plan: Plan, scope: Scope, budget: Budget) -> str | None:
    """What the key gives; None where it needs no making. Raises KeyInvalidError."""
    limit = plan.overall.concurrency
    if limit is None or limit.key is None or not limit.makes_key:
        return None
    return _made(limit.key, scope, budget, POINTER)


def made_keys(plan: Plan, scope: Scope, budget: Budget) -> dict[str, MadeKeys]:
    """What the keys of nodes' limits give, by the node's id, where they need making. Raises
    KeyInvalidError."""
    found: dict[str, MadeKeys] = {}
    for position in plan.keyed:
        policy, pointer = plan.policy(position), _pointer_of(plan, position)
        turn, pace = policy.concurrency, policy.rate_limit
        found[plan.nodes[position].id] = MadeKeys(
            _made_for(turn, scope, budget, f"{pointer}/{FIELD}/key"),
            _made_for(pace, scope, budget, f"{pointer}/{RATE_FIELD}/key"),
        )
    return found


def late_keys(wanted: KeyTemplates, scope: Scope, max_chars: int) -> MadeKeys:
    """What the keys of a node's limits give once the node is due. Raises KeyInvalidError."""
    budget = Budget(max_chars)

    def made(key: str | None, field: str) -> str | None:
        return None if key is None else _made(key, scope, budget, f"/{field}/key")

    return MadeKeys(made(wanted.turn, FIELD), made(wanted.pace, RATE_FIELD))


def _pointer_of(plan: Plan, position: int) -> str:
    """Where a node stands in the document."""
    for hook in HOOKS:
        if position in plan.positions(hook):
            return f"/{hook}/{plan.positions(hook).index(position)}"
    return f"/nodes/{position}"


def _made_for(
    limit: NodeConcurrency | RateLimit | None, scope: Scope, budget: Budget, pointer: str
) -> str | None:
    if limit is None or limit.key is None or not limit.makes_key:
        return None
    return _made(limit.key, scope, budget, pointer)


def _made(key: str, scope: Scope, budget: Budget, pointer: str) -> str:
    try:
        value = render(key, scope, budget=budget, pointer=pointer)
    except TemplateError as error:
        raise KeyInvalidError(Problem(code="key_invalid", pointer=pointer, message=error.message)) from error
    text = _text_of(value)
    wrong = f"a key is a text or a number, this is {type_name(value)}" if text is None else wrong_key(text)
    if text is None or wrong is not None:
        raise KeyInvalidError(Problem(code="key_invalid", pointer=pointer, message=wrong or ""))
    return text


def _text_of(value: JsonValue) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)[: MAX_KEY_CHARS + 1]
    return value if isinstance(value, str) else None
