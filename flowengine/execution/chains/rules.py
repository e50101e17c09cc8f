"""Whom the end of an execution starts. Pure.

Each definition that follows starts once for an execution: at the first of its ends that fits. What is kept of
it in the execution itself decides that, in the transaction that starts the other: so a message that comes
twice, or two that come at once, start it once, and a rerun starts only what no end before it has started.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flowengine.execution.chains.records import Follower
from flowengine.execution.changes import ArmTimer, Change, Send
from flowengine.execution.messages import StartFollowers
from flowengine.execution.records import Control, ExecutionRecord
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.status import ExecutionStatus, is_over
from flowengine.workflow.chains.declared import After

MAX_LINKS: Final = 32
"""So many ends may start executions one after the other."""
MAX_FOLLOWERS: Final = 100
"""So many definitions may follow one."""
SENT_AGAIN_MS: Final = 60_000
"""Whom an end starts is looked at again after this, if nobody has done so to the end."""


def tell_followers(run: Run, control: Control, now: int) -> tuple[Change, ...]:
    """Let somebody look whom this end starts; that of an execution which is deleted with it starts none. The
    timer sees to it where the message is lost."""
    if control.version is None or control.doomed:
        return ()
    message = StartFollowers(execution=run.execution, run=run.run, correlation_id=run.correlation_id)
    return (Send(message), ArmTimer(message, now + SENT_AGAIN_MS))


def is_ended(record: ExecutionRecord, run: int) -> bool:
    """Whether this run is the last one, and over: the end of an earlier run starts nothing any more."""
    return record.run == run and is_over(record.status) and not record.doomed


def fitting(after: Iterable[After], name: str, status: ExecutionStatus) -> After | None:
    """What says that an end of this definition as `status` starts an execution; None: nothing does."""
    return next((one for one in after if one.workflow == name and status in one.status), None)


def is_decided(record: ExecutionRecord, name: str) -> bool:
    """Whether nothing is to be done for the definition `name` that follows: this end, or one before that
    counts like it, has started an execution, or this one could not."""
    return any(
        one.name == name
        and (one.run == record.run or (one.execution is not None and record.status in one.statuses))
        for one in record.followers
    )


def noted(kept: Iterable[Follower], new: Follower) -> tuple[Follower, ...]:
    """What is kept from now on. A refusal makes room for what comes later."""
    stay = [one for one in kept if one.name != new.name or one.execution is not None]
    return (*stay, new)
