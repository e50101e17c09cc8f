"""What takes an execution away: the transaction after which it is gone for everybody, and its keys in steps.

Pure. Everything that it names may be gone already: each step can be done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from flowengine.execution.changes import Remove
from flowengine.execution.messages import HooksTimeout, RunTimeout, StartFollowers, StopOverdue
from flowengine.store import keys
from flowengine.store.connection.packing import Command
from flowengine.store.lists.listing_entries import list_of
from flowengine.workflow.plan import Plan

AT_ONCE: Final = 100
"""So many keys go in one step."""


def removing(names: keys.Keys, execution: str, change: Remove) -> list[Command]:
    """Let it be gone for all who ask, and be remembered until its last key is gone."""
    timers = (RunTimeout, StopOverdue, HooksTimeout, StartFollowers)
    armed = [timer(execution=execution, run=change.run) for timer in timers]
    return [
        ("DEL", *names.with_control(execution)),
        ("ZREM", names.index(list_of(change.status)), execution),
        ("ZREM", names.listing(list_of(change.status)), execution),
        *(("ZREM", names.timers(keys.timer_kind(timer)), keys.member_of(timer)) for timer in armed),
        ("ZREM", names.stopping, execution),
        ("ZADD", names.deleting, change.at, execution),
    ]


def removing_child(
    names: keys.Keys, root: str, child: str, member: str, run: int, plan: Plan | None
) -> Iterator[list[Command]]:
    """All that is stored of a child, in steps: first what lets it be gone for all who ask, last what says
    that it was there."""
    timers = (RunTimeout, StopOverdue, HooksTimeout, StartFollowers)
    armed = [timer(execution=child, run=run) for timer in timers]
    yield [
        ("DEL", *names.with_control(child)),
        ("ZREM", names.nested, child),
        ("ZREM", names.stopping, child),
        *(("ZREM", names.timers(keys.timer_kind(timer)), keys.member_of(timer)) for timer in armed),
    ]
    yield from rest_of(names, child, plan, ())
    yield [("ZREM", names.children(root), member)]


def rest_of(
    names: keys.Keys, execution: str, plan: Plan | None, entries: Sequence[str | bytes]
) -> Iterator[list[Command]]:
    """What else is stored of it, in steps; in the last one what a repetition goes by: the plan, which says
    what its nodes are, and what it was found by.

    `entries`: what that says. Without a plan nobody knows its nodes: they expire.
    """
    nodes = [] if plan is None else [names.node(execution, node.id) for node in plan.nodes]
    maps = () if plan is None else sorted(plan.maps)
    nodes += [name for at in maps if plan is not None for name in names.of_map(execution, plan.nodes[at].id)]
    nodes += [] if plan is None else [names.collected(execution, node) for node in plan.collecting]
    own = [*names.own(execution), *names.said(execution), *names.beside(execution), names.runs(execution)]
    own += [names.signals(execution), names.fork(execution), names.listed(execution)]
    last = (names.plan(execution), names.children(execution))
    gone = [*nodes, *names.sent(execution), *[name for name in own if name not in last]]
    for first in range(0, len(gone), AT_ONCE):
        yield [("UNLINK", *gone[first : first + AT_ONCE])]
    found_by: list[Command] = [("ZREM", names.list_by, *entries)] if entries else []
    yield [*found_by, ("UNLINK", *last), ("ZREM", names.deleting, execution)]
