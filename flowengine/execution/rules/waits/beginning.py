"""How a wait begins: what the worker reports that has run the node becomes a record, or the node fails."""

from __future__ import annotations

from msgspec.structs import replace

from flowengine.execution.error_codes import HANDLER_ERROR, TIMEOUT
from flowengine.execution.records import NodeError, NodeRecord, Waits, first_sent
from flowengine.execution.reports import Failed, Waiting
from flowengine.execution.status import after
from flowengine.workflow.policy import Policy, Retry
from flowengine.workflow.waits.wait_policy import DEFAULT_TIMEOUT_S, WaitPolicy

_PLAIN = Retry()


def waiting_record(policy: Policy, ended: NodeRecord, waiting: Waiting, now: int) -> NodeRecord | Failed:
    """The record of a node that waits from now on, or why it does not.

    `ended`: its record with what is reported of its task, still in flight. A call that is put off is part of
    the same try: its idempotency key stays, and so does the moment that its templates know.
    """
    since = first_sent(ended) or now
    undeclared = _undeclared(policy, waiting)
    if undeclared is not None:
        return undeclared
    until = _until(policy, ended, waiting, since, now)
    if isinstance(until, Failed):
        return until
    return replace(
        ended,
        status=after(ended.status, "wait"),
        finished_at=None,
        until=until,
        # It has been asked, and holds for the calls that follow.
        when=True if policy.when is not None else ended.when,
        since=(ended.since or since) if waiting.kind == "later" else ended.since,
        moment=first_sent(ended),
        waits=Waits(waiting.kind, now, waiting.prompt, said=waiting.said),
    )


def _undeclared(policy: Policy, waiting: Waiting) -> Failed | None:
    """Why a node cannot wait for what its handler has said: signals of other names are refused, so that
    nobody could send it."""
    names = () if waiting.said is None else waiting.said.names
    known = () if policy.waits is None or policy.waits.kind != "signal" else policy.waits.names
    if all(name in known for name in names):
        return None
    # The name is not quoted: a handler may have made it of a secret, which nobody here would know.
    declared = f"only {', '.join(map(repr, known))}" if known else "none"
    text = (
        "it would wait for a signal that its handler did not declare when the workflow was accepted "
        f"({declared}): declare it, @handler(..., signals=[...]), and post the workflow again"
    )
    return Failed(NodeError(HANDLER_ERROR.code, text), permanent=True)


def what_is_said(policy: Policy, record: NodeRecord) -> WaitPolicy | None:
    """What a node that waits says of it: its handler, which has returned that, or its document."""
    said = None if record.waits is None else record.waits.said
    return said or policy.waits


def _until(policy: Policy, ended: NodeRecord, waiting: Waiting, since: int, now: int) -> int | Failed:
    """When the time is over. What takes longer than it may is not begun."""
    if waiting.kind == "later":
        retry = policy.retry or _PLAIN
        until = (ended.finished_at or now) + (waiting.after_ms or 0)
        last = (ended.since or since) + retry.max_ms
        if until > last:
            asked_s, left_s = (waiting.after_ms or 0) / 1000, max(0, last - now) / 1000
            text = f"it asks to be called again in {asked_s:g} s, and retry.max_seconds leaves {left_s:g} s"
            return Failed(NodeError(TIMEOUT.code, text), permanent=True)
        return until
    said = waiting.said or policy.waits
    timeout_ms = DEFAULT_TIMEOUT_S * 1000 if said is None else said.timeout_ms
    if waiting.kind != "wait":
        return now + timeout_ms
    until = since + (waiting.after_ms or 0) if waiting.until is None else waiting.until
    if until - since > timeout_ms:
        text = f"it would wait for {(until - since) / 1000:g} s, its timeout_seconds is {timeout_ms / 1000:g}"
        return Failed(NodeError(TIMEOUT.code, text), permanent=True)
    return until
