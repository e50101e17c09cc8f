"""Rules of nodes that wait: how a wait begins, what ends it, and what it keeps."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

WAITS: Final = ("tests/integration/waits/test_engine_waits.py",)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, WAITS)


MUTANTS: Final = (
    _in(
        "a wait that is reported during a stop does not begin",
        "execution/rules/finishing",
        "return _begin_waiting(report, waiting) if control.stop is None else _cancel(report)",
        "return _begin_waiting(report, waiting)",
    ),
    _in(
        "a worker's report does not end a wait",
        "execution/rules/finishing",
        'if record.status == "waiting" and not isinstance(callback.by, ByEvent):',
        "if False:",
    ),
    _in(
        "a call that was put off belongs to the same attempt",
        "execution/rules/dispatching",
        '"call_again", record.attempt,',
        '"call_again", record.attempt + 1,',
    ),
    _in(
        "a call that was put off keeps its moment",
        "execution/rules/dispatching",
        '("dispatch_again", "call_again")',
        '("dispatch_again",)',
    ),
    _in(
        "the condition of a node is asked before its first call only",
        "execution/rules/waits/beginning",
        "when=True if policy.when is not None else ended.when,",
        "when=ended.when,",
    ),
    _in(
        "a wait counts from when its node was sent",
        "execution/rules/waits/beginning",
        "until = since + (",
        "until = now + 5 + (",
    ),
    _in(
        "what would wait for too long does not begin",
        "execution/rules/waits/beginning",
        "if until - since > timeout_ms:",
        "if False:",
    ),
    _in(
        "calls that are put off count to max_seconds",
        "execution/rules/waits/beginning",
        "if until > last:",
        "if False:",
    ),
    _in(
        "what is due during a pause happens after it",
        "engine/advancing/wait_over",
        "if waits and not control.lets_dispatch:",
        "if False:",
    ),
)
