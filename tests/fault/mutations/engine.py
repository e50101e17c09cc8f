"""Rules of the engine: in which order things are done, and what a message is acknowledged with."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import GRAPHS, WORKER, Mutant


def _in(module: str) -> str:
    return f"flowengine/engine/{module}.py"


MUTANTS: Final = (
    Mutant(
        "a batch decides on what its earlier decisions have changed",
        _in("advancing/callback_batch"),
        "        self._remember(execution, decision.changes)\n",
        "",
    ),
    Mutant(
        "an absent counter is never ready",
        _in("advancing/callback_batch"),
        "counters.get((execution, name)) == 0:",
        "not counters.get((execution, name)):",
    ),
    Mutant(
        "a join is ready only when its counter is 0",
        _in("advancing/callback_batch"),
        "if plan is not None and counters.get((execution, name)) == 0:",
        "if plan is not None:",
    ),
    Mutant(
        "the cascade reads every node it marks under WATCH",
        _in("advancing/callback_batch"),
        "below: Sequence[int] = plan.descendants(position)",
        "below: Sequence[int] = ()",
    ),
    Mutant(
        "in a later run a child is read before it is dispatched",
        _in("advancing/callback_batch"),
        "elif callback.run > 1 and not",
        "elif callback.run > 1_000_000 and not",
    ),
    Mutant(
        "only a pending node is dispatched",
        _in("advancing/follow_up"),
        'if record.status == "pending" and key not in dispatched:',
        'if record.status != "completed" and key not in dispatched:',
    ),
    Mutant(
        "a node is dispatched once in a transaction",
        _in("advancing/follow_up"),
        'if record.status == "pending" and key not in dispatched:',
        'if record.status == "pending":',
    ),
    Mutant(
        "a start counts in its own run only",
        _in("advancing/orchestrator"),
        " or meta.run != message.run:",
        ":",
    ),
    Mutant(
        "a repeated callback of an earlier run changes nothing",
        _in("advancing/follow_up"),
        "return meta is not None and meta.run != run.run",
        "return False",
    ),
    Mutant(
        "a batch speaks for the newest run in it",
        _in("advancing/callback_batch"),
        "if known is None or known.run < callback.run:",
        "if True:",
    ),
    Mutant(
        "a refused transaction is decided anew",
        _in("advancing/follow_up"),
        "if unit.commit(changes, acknowledge, expected(plans, changes)) is not None:",
        "if unit.commit(changes, acknowledge, expected(plans, changes)) is not None or True:",
    ),
    Mutant(
        "a message is acknowledged in its last transaction, not before",
        _in("advancing/orchestrator"),
        "early = _Acknowledge(receipt, tuple(step.complete)) if step.complete else None",
        "early = _Acknowledge(receipt)",
    ),
    Mutant(
        "only a callback that is applied to the end is acknowledged early",
        _in("advancing/callback_batch"),
        "done = decision.continues and not decision.joins and not decision.later",
        "done = decision.continues",
    ),
    Mutant(
        "a large step is acknowledged with its last part",
        _in("advancing/follow_up"),
        "            self._transact(group, ending, None)\n",
        "            self._transact(group, ending, acknowledge)\n",
    ),
    Mutant(
        "a conflict takes a batch again",
        _in("advancing/orchestrator"),
        "            if committed is not None:\n                receipt.confirm",
        "            if committed is None:\n                return True\n"
        "            if committed is not None:\n                receipt.confirm",
    ),
    Mutant(
        "a worker runs only what is still wanted",
        _in("running/runner"),
        "        if start.wanted:\n",
        "        if True:\n",
    ),
    Mutant(
        "a late start is removed by who wrote it",
        _in("running/runner"),
        "        hand.forget_start(self._store)\n",
        "",
    ),
    Mutant(
        "what somebody had before is noted before it runs",
        _in("running/starts"),
        "return delivery == 1 and not task.reads",
        "return not task.reads",
        tests=("tests/unit/engine/test_starts.py",),
    ),
    Mutant(
        "a start is not noted after its outcome",
        _in("running/task_in_hand"),
        "            if not self._taken:\n                place",
        "            if True:\n                place",
        tests=("tests/unit/engine/test_starts.py",),
    ),
    Mutant(
        "the sweep corrects counters under WATCH",
        _in("maintenance/sweep"),
        "unit = self._store.begin([(execution, node.id) for node in plan.nodes])\n",
        "stored = self._store.read_nodes(execution, [node.id for node in plan.nodes])\n        "
        "unit = self._store.begin([])\n        "
        "unit.nodes = {(execution, name): record for name, record in stored.items()}\n",
    ),
    Mutant(
        "the sweep leaves alone what waits its turn",
        _in("maintenance/sweep"),
        "return oldest is not None and oldest <= max(moved, started_at) + CLOCK_MARGIN_MS",
        "return False",
    ),
    Mutant(
        "the sweep dispatches nothing whose callback may wait to be applied",
        _in("maintenance/sweep"),
        "elif self._has_no_callback(attempt, oldest[ORCHESTRATOR_QUEUE]):",
        "else:",
    ),
    Mutant(
        "the sweep dispatches what vanished as a new attempt",
        _in("maintenance/sweep"),
        "changes: list[Change] = [ForgetStart(name, record.run, record.attempt)]",
        "changes: list[Change] = []",
    ),
    # -- batches
    Mutant(
        "parts are put together up to 4 MiB",
        _in("advancing/follow_up"),
        " or size > bytes_left:",
        ":",
        tests=GRAPHS,
    ),
    Mutant(
        "failures are not joined with completions",
        _in("advancing/orchestrator"),
        "joined = [at for at, callback in enumerate(callbacks) if isinstance(callback.outcome, Completed)]",
        "joined = list(range(len(callbacks)))",
    ),
    Mutant(
        "completions are joined",
        _in("advancing/orchestrator"),
        "        if len(joined) > 1:\n",
        "        if len(joined) > 1_000:\n",
    ),
    Mutant(
        "a lone completion comes before the failures",
        _in("advancing/orchestrator"),
        "        else:\n            alone = [*joined, *alone]\n",
        "        else:\n            alone = [*alone, *joined]\n",
    ),
    Mutant(
        "starts that cannot be made together are made one by one",
        _in("advancing/orchestrator"),
        "            for at, message in enumerate(messages):\n",
        "            for at, message in enumerate(messages[:0]):\n",
    ),
    Mutant(
        "what can never be applied fails its node in the end",
        _in("advancing/orchestrator"),
        'if receipt.deliveries[at] < LAST_DELIVERY:\n                raise\n            log.error("callback',
        'if receipt.deliveries[at] < 1_000:\n                raise\n            log.error("callback',
    ),
    Mutant(
        "what cannot be applied is tried again first",
        _in("advancing/orchestrator"),
        'if receipt.deliveries[at] < LAST_DELIVERY:\n                raise\n            log.error("callback',
        'if receipt.deliveries[at] < 1:\n                raise\n            log.error("callback',
    ),
    # -- reports
    Mutant(
        "a group acknowledges only what it reports",
        _in("running/quick_group"),
        "group.receipt.acknowledge(sink, only=at)",
        "group.receipt.acknowledge(sink)",
    ),
    Mutant(
        "an outcome whose report failed is put back",
        _in("running/quick_group"),
        "            group.put_back(done)\n",
        "",
        tests=WORKER,
    ),
    Mutant(
        "an outcome whose report failed may be reported again",
        _in("running/runner"),
        "            hand.untake()\n",
        "",
        tests=WORKER,
    ),
    # -- limits
    Mutant(
        "a node that would read too much does not run",
        _in("running/runner"),
        "        if start.oversized:\n",
        "        if False:\n",
        tests=WORKER,
    ),
    Mutant(
        "a result has a limit",
        _in("running/runner"),
        "if len(data) > self._limits.max_result_bytes:",
        "if False:",
        tests=WORKER,
    ),
    Mutant(
        "the results of an execution have a limit",
        _in("running/runner"),
        "if len(data) >= COUNTED_RESULT_BYTES and len(data) >",
        "if False and len(data) >",
        tests=WORKER,
    ),
    Mutant(
        "a small result fits though there is no room",
        _in("running/runner"),
        "if len(data) >= COUNTED_RESULT_BYTES and len(data) >",
        "if len(data) >",
        tests=WORKER,
    ),
    Mutant(
        "a node that begins unnoted asks for its room",
        _in("running/runner"),
        "(self._room(task) if room is None else room)",
        "(len(data) if room is None else room)",
        tests=WORKER,
    ),
)
