"""Rules of the engine: in which order things are done, and what a message is acknowledged with."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import GRAPHS, WORKER, Mutant

START: Final = ("tests/unit/engine/test_orchestrator.py",)
SWEEP: Final = ("tests/unit/engine/test_sweep.py",)
RENDERING: Final = ("tests/unit/engine/test_runner_rendering.py",)
STARTS: Final = ("tests/unit/engine/test_starts.py",)
TIMER_LOOP: Final = ("tests/unit/engine/test_timer_loop.py",)
NODE_DETAIL: Final = ("tests/unit/engine/test_node_detail.py",)
FOLLOW_UP: Final = ("tests/unit/engine/test_follow_up.py",)


def _in(module: str) -> str:
    return f"flowengine/engine/{module}.py"


MUTANTS: Final = (
    Mutant(
        "a config that is shown reads no secret input",
        _in("node_detail"),
        "inputs=shown, execution",
        "execution",
        tests=NODE_DETAIL,
    ),
    Mutant(
        "a config that is shown reads what its node had seen",
        _in("node_detail"),
        "if asked.record.queued_at is None:",
        "if True:",
        tests=NODE_DETAIL,
    ),
    Mutant(
        "a worker renders with the moment of the task",
        _in("running/rendering/node_scope"),
        "moment=task.moment or start.now",
        "moment=start.now",
        tests=RENDERING,
    ),
    Mutant(
        "a worker renders with the seed of the idempotency key",
        _in("running/rendering/node_scope"),
        "seed=idempotency_key(task)",
        'seed=f"{idempotency_key(task)}-{start.now}"',
        tests=RENDERING,
    ),
    Mutant(
        "a batch decides on what its earlier decisions have changed",
        _in("advancing/callback_batch"),
        "        self._remember(plan, execution, decision)\n",
        "",
    ),
    Mutant(
        "the cascade reads every node it marks",
        _in("advancing/callback_batch"),
        "            if not decision.unread:\n",
        "            if True:\n",
    ),
    Mutant(
        "a child is read before it is dispatched with its parent's end",
        _in("advancing/reads"),
        "if completed else ()",
        "if False else ()",
    ),
    Mutant(
        "a start counts in its own run only",
        _in("advancing/orchestrator"),
        " or control.run != message.run:",
        ":",
        tests=START,
    ),
    Mutant(
        "the roots that a start names are a hint",
        _in("advancing/follow_up"),
        "if opened is not None and opened.reading == reading:",
        "if opened is not None:",
        tests=START,
    ),
    Mutant(
        "a repeated callback of an earlier run changes nothing",
        _in("advancing/follow_up"),
        "control is None or control.run != run.run or not control.lets_decide",
        "control is None or not control.lets_decide",
    ),
    Mutant(
        "nothing follows where the execution forbids to dispatch",
        _in("advancing/follow_up"),
        "most, dispatches, stop = BELOW_AT_FIRST, control.lets_dispatch, None",
        "most, dispatches, stop = BELOW_AT_FIRST, True, None",
        tests=FOLLOW_UP,
    ),
    Mutant(
        "an earlier run ends nothing",
        _in("advancing/follow_up"),
        "if plan is not None and control is not None and control.run == run.run:",
        "if plan is not None and control is not None:",
        tests=FOLLOW_UP,
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
        "unit.commit(changes, carried, expected(plans, changes, self._sizes))",
        "unit.commit(changes, carried, None) or Committed({}, {})",
    ),
    Mutant(
        "a message is acknowledged in its last transaction, not before",
        _in("advancing/orchestrator"),
        "settled = HeldTogether(batch.settled)",
        "settled = HeldTogether(held)",
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
        "left = [self._transact(group, (), None) for group in groups]",
        "left = [self._transact(group, (), acknowledge) for group in groups]",
    ),
    Mutant(
        "a conflict takes a batch again",
        _in("advancing/orchestrator"),
        "            if committed is not None:\n                settled.confirm",
        "            if committed is None:\n                return True\n"
        "            if committed is not None:\n                settled.confirm",
    ),
    Mutant(
        "an execution whose last nodes end at once under two orchestrators is ended",
        _in("advancing/orchestrator"),
        "committed.unfinished.items() if left <= 0}",
        "committed.unfinished.items() if left < 0}",
    ),
    Mutant(
        "a worker runs only what is still wanted",
        _in("running/runner"),
        "        if not start.wanted:\n            self.drop(hand)\n        else",
        "        if False:\n            self.drop(hand)\n        else",
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
        "if held.delivery != 1 or reads or",
        "if reads or",
        tests=STARTS,
    ),
    Mutant(
        "a start is not noted after its outcome",
        _in("running/task_in_hand"),
        "return not self._noted and not self._taken",
        "return not self._noted",
        tests=STARTS,
    ),
    Mutant(
        "a start whose noting failed may have been noted",
        _in("running/task_in_hand"),
        "        return self._noted or self._tried_to_note\n",
        "        return self._noted\n",
        tests=STARTS,
    ),
    Mutant(
        "the events tell of a start once, in however many parts it is dealt with",
        _in("advancing/orchestrator"),
        "unopened = message.run == 1 and positions[:1] == plan.roots[:1]",
        "unopened = message.run == 1",
        tests=("tests/integration/engine/test_engine_crashes.py",),
    ),
    Mutant(
        "the sweep corrects counters under WATCH",
        _in("maintenance/sweep"),
        "        unit = self._store.begin(Reading(nodes, (execution,), (execution,)))\n"
        "        records = records_of({name: record for (_, name), record in unit.nodes.items()})\n",
        "        stored = self._store.read_nodes(execution, [name for _, name in nodes])\n"
        "        unit = self._store.begin(Reading((), (execution,), (execution,)))\n"
        "        records = records_of(stored)\n",
    ),
    Mutant(
        "the sweep corrects counts",
        _in("maintenance/sweep"),
        "        changes.append(SetCounts(counted.unfinished, counted.failed))\n",
        "        pass\n",
    ),
    Mutant(
        "the sweep corrects joins' counters",
        _in("maintenance/sweep"),
        "for key, value in right.items() if stored.get(key) != value",
        "for key, value in right.items() if False",
    ),
    Mutant(
        "the sweep leaves alone what moves while it looks",
        _in("maintenance/sweep"),
        "        if self._store.last_moves([execution]).get(execution) != mark:\n",
        "        if False:\n",
        tests=("tests/integration/engine/test_engine_sweep.py",),
    ),
    Mutant(
        "the sweep leaves alone what waits its turn",
        _in("maintenance/sweep"),
        "return oldest is not None and oldest <= max(moved, started_at) + self._clock_margin_ms",
        "return False",
    ),
    Mutant(
        "the sweep dispatches nothing whose callback may wait to be applied",
        _in("maintenance/sweep"),
        "elif self._has_no_callback(dispatched, oldest_callback):",
        "else:",
    ),
    Mutant(
        "the sweep sends nothing again whose record has changed meanwhile",
        _in("maintenance/sweep"),
        " or unit.nodes.get(key, UNTOUCHED) != seen:",
        ":",
        tests=SWEEP,
    ),
    # -- timers
    Mutant(
        "deadlines are held after a start",
        _in("maintenance/timer_loop"),
        "        self._hold()\n        while True",
        "        while True",
        tests=TIMER_LOOP,
    ),
    Mutant(
        "deadlines are held after an outage",
        _in("maintenance/timer_loop"),
        "            self._hold()\n            return self._pauses.after_error_s\n",
        "            return self._pauses.after_error_s\n",
        tests=TIMER_LOOP,
    ),
    Mutant(
        "deadlines are held no longer than that",
        _in("maintenance/timer_loop"),
        "HELD_AFTER_A_GAP if self._clock() < self._hold_until else frozenset[str]()",
        "HELD_AFTER_A_GAP",
        tests=TIMER_LOOP,
    ),
    Mutant(
        "a timer that is due before the next turn wakes the loop",
        _in("maintenance/timer_loop"),
        "        if self._clock() + left_s < self._next_turn_at:\n            self._woken.set()\n",
        "        del left_s\n",
        tests=TIMER_LOOP,
    ),
    Mutant(
        "a timer that is armed during a turn wakes the loop",
        _in("maintenance/timer_loop"),
        "            self._next_turn_at = math.inf\n",
        "",
        tests=TIMER_LOOP,
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
        "        joined = [each for each in held if isinstance(each.payload.outcome, Completed | Again)]\n"
        "        alone = [each for each in held "
        "if not isinstance(each.payload.outcome, Completed | Again)]\n",
        "        joined, alone = list(held), list[Held[Callback]]()\n",
    ),
    Mutant(
        "completions are joined",
        _in("advancing/orchestrator"),
        "        if len(joined) < 2:\n",
        "        if len(joined) < 1_000:\n",
    ),
    Mutant(
        "a lone completion comes before the failures",
        _in("advancing/orchestrator"),
        "            alone = [*joined, *alone]\n",
        "            alone = [*alone, *joined]\n",
    ),
    Mutant(
        "starts that cannot be made together are made one by one",
        _in("advancing/orchestrator"),
        "            for each in held:\n                self.start(each, again=True)\n",
        "            for each in held[:0]:\n                self.start(each, again=True)\n",
    ),
    Mutant(
        "what can never be applied fails its node in the end",
        _in("advancing/orchestrator"),
        'if held.delivery < LAST_DELIVERY:\n                raise\n            log.error("callback',
        'if held.delivery < 1_000:\n                raise\n            log.error("callback',
    ),
    Mutant(
        "what cannot be applied is tried again first",
        _in("advancing/orchestrator"),
        'if held.delivery < LAST_DELIVERY:\n                raise\n            log.error("callback',
        'if held.delivery < 1:\n                raise\n            log.error("callback',
    ),
    # -- reports
    Mutant(
        "a group acknowledges only what it reports",
        _in("held"),
        "self._entries = tuple([each.entry for each in held])",
        "self._entries = tuple(range(max([each.entry for each in held], default=-1) + 1))",
        tests=WORKER,
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
        _in("running/outcomes"),
        "        if start.oversized:\n",
        "        if False:\n",
        tests=WORKER,
    ),
    Mutant(
        "a result has a limit",
        _in("running/outcomes"),
        "if len(data) > self._limits.max_result_bytes:",
        "if False:",
        tests=WORKER,
    ),
    Mutant(
        "the results of an execution have a limit",
        _in("running/outcomes"),
        "if len(data) >= COUNTED_RESULT_BYTES and len(data) >",
        "if False and len(data) >",
        tests=WORKER,
    ),
    Mutant(
        "a small result fits though nothing more may be stored",
        _in("running/outcomes"),
        "if len(data) >= COUNTED_RESULT_BYTES and len(data) >",
        "if len(data) >",
        tests=WORKER,
    ),
    Mutant(
        "a node that begins unnoted asks how much it may store",
        _in("running/outcomes"),
        "self._storable_bytes(task) if storable_bytes is None else storable_bytes",
        "len(data) if storable_bytes is None else storable_bytes",
        tests=WORKER,
    ),
)
