"""What is shown of limits. Pure data."""

from __future__ import annotations

import msgspec

from flowengine.execution.limits.lines import LineKind


class StanderView(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands in a line: a run of an execution, or a `node` of it."""

    execution_id: str
    run: int
    node: str | msgspec.UnsetType = msgspec.UNSET


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that somebody runs under or waits for. `kind`: of executions of one `workflow`, or `shared` by
    all that say its `key`; of one `node` of a workflow, or of all `nodes` with its `key`. `holding` and
    `waiting`: how many; `holders` and `waiters`: the first of them."""

    kind: LineKind
    key: str
    workflow: str | None
    limit: int
    holding: int
    waiting: int
    holders: tuple[StanderView, ...]
    waiters: tuple[StanderView, ...]


class LimitsView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of limits, by their names. `next_cursor` leads to the next one; null: there are no more."""

    items: tuple[LimitView, ...]
    next_cursor: str | None
