"""What follows when an iteration of a node has ended (LANGUAGE section 6), as far as its record tells.

Whether the condition holds is not known here: workers render it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import Change, ForgetIterations, Iteration
from flowengine.execution.error_codes import REPEAT_EXHAUSTED
from flowengine.execution.messages import RunNode
from flowengine.execution.records import NodeError, NodeRecord, Repeated, attempt_of, counted_bytes
from flowengine.execution.reports import Again, Exhausted
from flowengine.workflow.policy import Policy
from flowengine.workflow.repeating.repeat import Repeat

NOT_BEGUN = Repeated()


def sent(repeat: Repeat, record: NodeRecord, now: int) -> Repeated:
    """How far a node is whose task is sent."""
    known = record.repeated or NOT_BEGUN
    number = 0 if is_delayed(repeat, known) else known.ended + 1
    return replace(known, number=number, since=known.since or now)


def awaits_iteration(record: NodeRecord) -> bool:
    """Whether a waiting node waits for its next iteration, and not for another try of one."""
    return record.repeated is not None and record.error is None and record.waits is None


def wait_kind(record: NodeRecord) -> Literal["retry", "repeat"]:
    """What a waiting node waits for."""
    return "repeat" if awaits_iteration(record) else "retry"


def is_delayed(repeat: Repeat, repeated: Repeated) -> bool:
    """Whether the task of a node only lets the wait before its first iteration begin."""
    return bool(repeat.initial_delay_s) and not repeated.delayed and not repeated.ended


def reads_previous(task: RunNode) -> bool:
    """Whether the templates of a task read what the iteration before has given, and there was one."""
    repeat, repeated = task.repeat, task.repeated
    return repeat is not None and repeat.reads_previous and repeated is not None and repeated.ended > 0


def reads_own_key(task: RunNode) -> bool:
    """Whether a task needs more of its node's own key than the record."""
    return task.judges or reads_previous(task)


def exhausted(repeated: Repeated, most: int, max_ms: int | None, pause_ms: int, now: int) -> Exhausted | None:
    """Why no iteration may follow that which has just ended; None: one may. `most`: so many it may have."""
    if repeated.ended + 1 - repeated.before >= most:
        return "max_iterations"
    if max_ms is not None and now + pause_ms > repeated.since + max_ms:
        return "max_seconds"
    return None


def after_iteration(policy: Policy, record: NodeRecord, again: Again) -> tuple[NodeRecord, Iteration]:
    """The record of a node in flight one of whose iterations has ended, in the status that it had, and what
    is kept of that. `record` has the times of the attempt."""
    repeat, known = policy.repeat, record.repeated or NOT_BEGUN
    assert repeat is not None, "only a node that repeats has iterations"
    following = replace(
        record,
        error=None,
        when=True if policy.when is not None else None,
        tried=0,
        since=0,
        moment=None,
        child=None,
    )
    if is_delayed(repeat, known):
        return replace(following, repeated=replace(known, delayed=True)), Iteration(record.attempt)
    value = None if again.value is msgspec.UNSET else again.value
    size = 0 if value is None else len(value)
    kept = known.kept + size + 1 if repeat.collects else size
    repeated = replace(known, ended=known.ended + 1, kept=kept, given=0, size=0)
    return replace(following, repeated=repeated, counted=counted_bytes(kept)), Iteration(
        record.attempt,
        attempt_of(record),
        previous=value if repeat.reads_previous else None,
        collected=value if repeat.collects else None,
    )


def completed(record: NodeRecord) -> Repeated | None:
    """How far a node is that has completed with the iteration in flight."""
    known = record.repeated
    return None if known is None else replace(known, ended=known.ended + 1, kept=0, given=0, size=0)


def given(record: NodeRecord, result: msgspec.Raw) -> NodeRecord:
    """The record of a group that repeats, once the child of its iteration has given this: that is stored
    until a worker has said what follows. `record` has the times of the iteration."""
    known, size = record.repeated or NOT_BEGUN, len(result)
    repeated = replace(known, given=max(record.started_at or 0, 1), size=size)
    return replace(record, repeated=repeated, counted=record.counted + counted_bytes(size))


def redone(record: NodeRecord) -> NodeRecord:
    """The record of a node whose iteration has failed: what its child gave goes, and another try runs all of
    it."""
    known = record.repeated
    if known is None or not known.given:
        return record
    counted = record.counted - counted_bytes(known.size)
    return replace(record, repeated=replace(known, given=0, size=0), counted=counted)


def exhaustion(repeat: Repeat, repeated: Repeated | None, why: Exhausted) -> NodeError:
    """What a node fails with whose last iteration has ended."""
    done = 0 if repeated is None else repeated.ended
    limit = (
        "repeat.max_iterations" if why == "max_iterations" else "repeat.max_seconds leaves no time for more"
    )
    times = f"{done} iteration{'s' if done != 1 else ''}"
    return NodeError(REPEAT_EXHAUSTED.code, f"'until' was not true after {times} ({limit})")


def forget(policy: Policy, node: str, record: NodeRecord) -> tuple[Change, ...]:
    """Remove what is kept of a node's iterations, if something may be."""
    if policy.repeat is None or record.repeated is None:
        return ()
    if not policy.repeat.keeps and not record.repeated.given:
        return ()
    return (ForgetIterations(node, policy.repeat.collects),)


def begun_again(record: NodeRecord) -> Repeated | None:
    """How far a node is that goes on in another run: with the iteration that has failed or was stopped. After
    the last one that it might have had it may have as many again."""
    known = record.repeated
    if known is None:
        return None
    return replace(known, since=0, before=known.ended if has_exhausted(record) else known.before)


def has_exhausted(record: NodeRecord) -> bool:
    """Whether a node has failed with its last iteration, of which nothing is left to be done."""
    return record.error is not None and record.error.code == REPEAT_EXHAUSTED.code
