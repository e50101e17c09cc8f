"""What the sweep asks of Redis about deliveries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import structlog

from flowengine.engine.delivering.lost_deliveries import Silent
from flowengine.execution.messages import DeliveryDue
from flowengine.store import keys
from flowengine.store.codec import decode_delivery

if TYPE_CHECKING:
    from flowengine.store.state import RedisState

log = structlog.stdlib.get_logger()


def silent_deliveries(state: RedisState, before: int, at_most: int) -> list[Silent]:
    """Those whose last step was before this time, longest ago first. A member that nobody can read goes."""
    names = state.keys
    command = ("ZRANGE", names.delivering, "-inf", before, "BYSCORE", "LIMIT", 0, at_most, "WITHSCORES")
    (found,) = state.sessions.retrying_read([command])
    pairs = dict(zip(found[::2], found[1::2], strict=True))
    read = {member: keys.parse_delivering(member) for member in pairs}
    odd = [member for member, parsed in read.items() if parsed is None]
    if odd:
        state.sessions.retrying_write([("ZREM", names.delivering, *odd)])
        log.error("delivering.set_aside", count=len(odd))
    known = [(member, parsed) for member, parsed in read.items() if parsed is not None]
    return [_with(state, parsed, pairs[member]) for member, parsed in known]


def _with(state: RedisState, parsed: tuple[str, int], score: bytes) -> Silent:
    names, (execution, run) = state.keys, parsed
    there, stored = state.sessions.retrying_read(
        [
            ("EXISTS", names.control(execution)),
            ("HGET", names.deliveries(execution), keys.run_field(run)),
        ]
    )
    delivery = decode_delivery(stored) if there else None
    silent = Silent(execution, run, int(float(score)), delivery, is_armed=False)
    (armed,) = state.sessions.retrying_read(
        [("ZSCORE", names.timers(keys.timer_kind(silent.timer)), keys.member_of(silent.timer))]
    )
    return Silent(execution, run, silent.moved, delivery, is_armed=armed is not None)


def forget_deliveries(state: RedisState, silent: Sequence[Silent]) -> None:
    """Those that are over are looked at no more."""
    members = [keys.delivering_member(each.execution, each.run) for each in silent]
    state.sessions.retrying_write([("ZREM", state.keys.delivering, *members)])


def arm_deliveries(state: RedisState, timers: Collection[DeliveryDue], due: int) -> None:
    """Have them sent."""
    pairs = [part for timer in timers for part in (due, keys.member_of(timer))]
    kind = keys.timer_kind(next(iter(timers)))
    state.sessions.retrying_write([("ZADD", state.keys.timers(kind), *pairs)])
