"""Which ways through a workflow no test has taken: nodes, branches, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from flowengine.execution.error_codes import REJECTED, TIMEOUT, UPSTREAM_FAILED
from flowengine.testing.running.addresses import PlannedNode, nodes_of
from flowengine.testing.running.finished_run import NodeRun, Run
from flowengine.testing.running.mocked_handlers import COMPUTING
from flowengine.workflow.children.group import GROUP
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import OUTPUTS_NODE

_MAY_FAIL: Final = frozenset({"assert"})
"""Built-in handlers that compute, and that are there to fail."""


class Way(msgspec.Struct, frozen=True):
    """One way through a workflow: what a test would show of a node, and whether one has."""

    node: str
    text: str
    taken: bool


def ways_of(plan: Plan, runs: Sequence[Run]) -> list[Way]:
    """All ways through a workflow."""
    found: list[Way] = []
    for address, planned in nodes_of(plan).items():
        if planned.node.id != OUTPUTS_NODE:
            own = [
                each
                for run in runs
                for each in (*run.all_nodes.get(address, ()), *run.items.get(address, ()))
            ]
            found += (Way(address, text, taken) for text, taken in _ways(planned, own))
    return found


def _ways(planned: PlannedNode, runs: Sequence[NodeRun]) -> Iterator[tuple[str, bool]]:
    policy, handler = planned.plan.policy(planned.position), planned.node.work.handler
    yield "it runs", any(_ran(run) for run in runs)
    if policy.when is not None:
        yield "its `when` is false", any(run.skipped == "when" for run in runs)
    calls_out = handler not in COMPUTING | {GROUP}
    if calls_out or handler in _MAY_FAIL or policy.tolerates:
        yield "it fails", any(_failed(run) for run in runs)
    if calls_out and policy.retry is not None and policy.retry.max_attempts > 1:
        yield "it is tried again", any(run.attempts > 1 for run in runs)
    if policy.waits is not None and policy.waits.kind == "approval":
        yield "a person rejects", any(_rejected(run) for run in runs)
    if policy.waits is not None and policy.waits.kind != "wait":
        yield "nobody answers in time", any(_timed_out(run) for run in runs)


def _failed(run: NodeRun) -> bool:
    """By itself."""
    return run.error is not None and run.error.code != UPSTREAM_FAILED.code


def _ran(run: NodeRun) -> bool:
    return run.status == "completed" or _failed(run)


def _rejected(run: NodeRun) -> bool:
    result = run.result if isinstance(run.result, dict) else {}
    return result.get("approved") is False or _has_code(run, REJECTED.code)


def _timed_out(run: NodeRun) -> bool:
    output = run.output if isinstance(run.output, dict) else {}
    return output.get("timed_out") is True or _has_code(run, TIMEOUT.code)


def _has_code(run: NodeRun, code: str) -> bool:
    return run.error is not None and run.error.code == code
