"""An execution under everything that can happen to it, compared step by step with a small model.

Callbacks come late, twice, out of order and under two orchestrators at once; processes of all services
die or fail at any command, and what they held comes again when other things have happened; nodes time
out; executions are cancelled and stopped, by an `end`, by failures and by their timeouts; operators pause
them, let them go on, and end nodes; those that failed or were cancelled are triggered again, and ended ones
are run again from some of their nodes, in new executions too, while the past still sends its callbacks.
After each step every invariant holds and the store says what the model says: where something that was struck
is still to come again, it may be behind, by what can only follow from that.
`FLOWENGINE_FAULT_EXAMPLES` makes it run for longer; `FLOWENGINE_FAULT_SHRINK=1` makes it look for the
shortest way to a failure.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from flowengine.store import keys
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.stages import OUTPUTS_NODE
from tests.property.graphs import graphs, names_of, sayings, stages, stages_of
from tests.property.machine_book import WORDS, Crash, Life, crashes, outcomes, ways
from tests.property.machine_forks import ForkRules
from tests.property.machine_stops import StopRules
from tests.support.checks.invariants import Stored, check_everything
from tests.support.checks.reference_model import LEFT, Graph, Model, Outcome, Says
from tests.support.faults import Gate, Way
from tests.support.rigs.harness import plan_of
from tests.support.servers.valkey import Valkey

EXAMPLES = int(os.environ.get("FLOWENGINE_FAULT_EXAMPLES", "50"))
PHASES = (Phase.generate, *([Phase.shrink] if "FLOWENGINE_FAULT_SHRINK" in os.environ else []))
STEPS = 40
TIME_LIMIT_MS = 3_600_000

Besides: TypeAlias = Literal["nothing", "trigger", "cancel", "pause", "overrule"]


class ExecutionMachine(StopRules, ForkRules):
    """One execution, from its creation to its last end, and those that are made of it."""

    @initialize(
        graph=graphs(),
        quick=st.booleans(),
        ruled=st.booleans(),
        stops=st.booleans(),
        hooked=st.booleans(),
        begun=st.booleans(),
        deleted=st.booleans(),
        steered=st.booleans(),
        threadless=st.booleans(),
        mapped=st.booleans(),
        data=st.data(),
    )
    def create(
        self,
        graph: Graph,
        quick: bool,
        ruled: bool,
        stops: bool,
        hooked: bool,
        begun: bool,
        deleted: bool,
        steered: bool,
        threadless: bool,
        mapped: bool,
        data: st.DataObject,
    ) -> None:
        """A pending execution or one that was triggered; perhaps one whose nodes begin unnoted, say when they
        run, or stop it, or that others follow, or need no thread,
        or are maps."""
        hooks = data.draw(stages()) if hooked else {}
        whole = {**graph, **{node: parents for listed in hooks.values() for node, parents in listed.items()}}
        says = data.draw(sayings(whole, with_maps=mapped)) if ruled or mapped else None
        ends: set[str] = set()
        overall = ExecutionPolicy()
        self.stops, self.deleted, self.steered = stops, deleted, steered
        if stops:
            ends = data.draw(st.sets(st.sampled_from(list(graph)), max_size=2))
            fails = data.draw(st.booleans())
            overall = ExecutionPolicy(data.draw(st.sampled_from([0, TIME_LIMIT_MS])), fails)
            says = says and _without_contradiction(says, ends, fails)
        if quick:
            self.harness.be_quick()
        model = Model(
            whole, says, ends=ends, stops_on_failure=overall.stops_on_failure, stages=names_of(hooks)
        )
        waiting = data.draw(st.sets(st.sampled_from(list(whole)))) if threadless else ()
        plan = plan_of(
            whole,
            reading=not quick,
            says=says,
            ends=ends,
            overall=overall,
            stages=stages_of(hooks),
            waiting=waiting,
        )
        self.life = Life(self.harness.create(plan), model)
        self.lives.append(self.life)
        if begun:
            self.trigger()

    # -- what may happen

    @precondition(lambda self: self.seen.waits)
    @rule(data=st.data(), outcome=outcomes, most=st.integers(1, 5))
    def go_on(self, data: st.DataObject, outcome: Outcome, most: int) -> None:
        """Some of what waits is dealt with, as it is where nothing fails."""
        self.let_go_on(data, outcome, most)

    def let_go_on(self, data: st.DataObject, outcome: Outcome, most: int) -> None:
        """So much of it, as it comes."""
        for _ in range(most):
            if waiting := self.waiting():
                entry = data.draw(st.sampled_from(waiting))
                self.outcomes.append(outcome)
                if entry.actor == "run_node":
                    assert self.harness.deliver(self.harness.workers[0], entry)
                else:
                    self.deal_with(entry, None, self.harness.orchestrators[0])

    @precondition(lambda self: self.seen.owed)
    @rule(data=st.data(), crash=crashes(40))
    def come_again(self, data: st.DataObject, crash: Crash) -> None:
        """What a process held that was struck is delivered again, alone; that may be struck as well."""
        entry = data.draw(st.sampled_from(self.owed()))
        self.deal_with(entry, crash, self.pick(data))

    @precondition(lambda self: "start_execution" in self.seen.actors)
    @rule(data=st.data(), crash=crashes(30))
    def start(self, data: st.DataObject, crash: Crash) -> None:
        """A start message is dealt with: this run's, or an old one that comes again."""
        entry = data.draw(st.sampled_from(self.orders("start_execution")))
        self.begin_run(entry, crash, self.pick(data))

    @precondition(lambda self: self.seen.tasks)
    @rule(data=st.data(), outcome=outcomes, delivery=st.integers(1, 3), stopped=st.booleans())
    def run_task(self, data: st.DataObject, outcome: Outcome, delivery: int, stopped: bool) -> None:
        """A worker runs a task: one that waits, or one whose lease it had lost meanwhile. Perhaps the
        execution is cancelled while it runs."""
        task = data.draw(st.sampled_from(self.all_tasks()))
        self.outcomes.append(outcome)
        self.meanwhile = self.is_stopped_meanwhile if self.stops and stopped and delivery == 1 else None
        assert self.harness.deliver(
            self.harness.workers[0], msgspec.structs.replace(task, deliveries=delivery)
        )
        self.meanwhile = None

    @precondition(lambda self: self.seen.tasks_wait)
    @rule(data=st.data(), at=st.integers(1, 12), way=ways, outcome=outcomes)
    def drop_worker(self, data: st.DataObject, at: int, way: Way, outcome: Outcome) -> None:
        """A worker is struck while it runs a task; the task comes back unless its report got through."""
        task = data.draw(st.sampled_from(self.tasks()))
        self.past.append(task)
        self.outcomes.append(outcome)
        worker = self.harness.workers[0]
        worker.line.gate = Gate(at=at, way=way)
        self.harness.deliver(worker, task)
        worker.line.gate = Gate()

    @precondition(lambda self: "node_finished" in self.seen.actors)
    @rule(data=st.data(), crash=crashes(40))
    def finish(self, data: st.DataObject, crash: Crash) -> None:
        """A batch of callbacks, new and old, in any order; perhaps the orchestrator dies over it."""
        self.report(self.draw_batch(data), crash, self.pick(data))

    @precondition(lambda self: "node_finished" in self.seen.actors)
    @rule(
        data=st.data(),
        besides=st.sampled_from(["nothing", "trigger", "cancel", "pause", "overrule"]),
        skipped=st.integers(0, 2),
    )
    def finish_at_once(self, data: st.DataObject, besides: Besides, skipped: int) -> None:
        """Two orchestrators at once: all of one's work falls between the other's reads and writes."""
        mine, theirs = self.draw_batch(data), self.draw_batch(data)
        first, second = self.harness.orchestrators

        def meanwhile() -> None:
            self.model_reports(self.applied(mine))
            self.report(theirs, None, second)
            if besides == "trigger" and self.may_trigger:
                self.trigger()
            elif besides == "cancel" and self.stops:
                self.cancel()
            elif besides == "pause" and self.steered:
                self.pause()
            elif besides == "overrule" and self.steered:
                self.overrule(data, data.draw(st.sampled_from(list(WORDS))))

        first.state.between, first.state.skipped = meanwhile, skipped
        # What the model hears first does not matter unless both report on one attempt.
        if self.dispatches(mine) & self.dispatches(theirs):
            first.state.skipped = 0
        assert self.deliver(mine, None, first)
        if first.state.hooked:
            first.state.between, first.state.skipped = None, 0
            meanwhile()
        self.model_reports(mine)

    @precondition(lambda self: self.seen.begun)
    @rule(data=st.data(), hangs=st.booleans(), crash=crashes(30), loop=crashes(8))
    def time_out(self, data: st.DataObject, hangs: bool, crash: Crash, loop: Crash) -> None:
        """A node's deadline passes: its worker hangs, and may still report, too late; or it waits for one."""
        node, dispatch, item = data.draw(st.sampled_from(self.begun()))
        self.harness.make_overdue(self.execution, node, dispatch, item)
        begun = self.harness.begun(self.execution, node, dispatch, item)
        for task in self.tasks():
            if task.place == begun.place:
                deliveries = begun.delivery if hangs else begun.delivery + 1
                self.harness.still_holding(msgspec.structs.replace(task, deliveries=deliveries))
        for entry in self.turn_timers(self.harness.fire_timers, loop):
            self.expire(entry, crash, self.pick(data))

    @precondition(lambda self: "retry" in self.seen.timers)
    @rule(data=st.data(), crash=crashes(30), loop=crashes(8))
    def end_pauses(self, data: st.DataObject, crash: Crash, loop: Crash) -> None:
        """The pauses of all nodes that wait for another try are over."""
        for entry in self.turn_timers(self.harness.end_pauses, loop):
            self.expire(entry, crash, self.pick(data))

    @precondition(lambda self: "wait" in self.seen.timers)
    @rule(data=st.data(), crash=crashes(30), loop=crashes(8))
    def end_waits(self, data: st.DataObject, crash: Crash, loop: Crash) -> None:
        """The time of all nodes is over that wait for a time."""
        for entry in self.turn_timers(self.harness.end_waits, loop):
            self.expire(entry, crash, self.pick(data))

    @precondition(lambda self: self.seen.old_timers)
    @rule(data=st.data())
    def repeat_timer(self, data: st.DataObject) -> None:
        """An old timer's message comes again: at most it makes up for what somebody left undone."""
        running, entry = self.left_to_workers(), data.draw(st.sampled_from(self.old_timers()))
        if self.is_of_wait(entry):
            # One that was let go of during a pause may come again after it.
            self.expire(entry, None, self.pick(data))
            return
        assert self.deliver([entry], None, self.pick(data))
        self.note_ended(running)

    # -- what must hold

    @invariant()
    def agrees_with_the_model(self) -> None:
        """Node by node, and as a whole."""
        if self.model.run == 0 and self.model.stop is not None:
            shown = {node: status for node, status in self.model.status.items() if node != OUTPUTS_NODE}
            assert self.harness.statuses(self.execution) == shown
        else:
            self.compare(self.stored())
        self.seen = self.look(may_trigger=self.may_trigger, may_rerun=self.may_rerun)

    def is_paused(self) -> bool:
        """Whether it is, by what is stored."""
        return self.status == "paused"

    def compare(self, stored: Stored) -> None:
        """Assert that what is stored is what the model says, or may still become so."""
        self.follow_stage()
        self.look_at_maps()
        self.compare_maps(stored)
        model, behind = self.model, self.behind(stored)
        assert stored.stage == model.stage
        if model.next_stage() is not None and not any(model.status[node] in LEFT for node in model.nodes()):
            assert self.may_end_yet(), "nothing is to come that would begin what follows"
        if behind:
            assert model.stop is None, f"{behind} are not decided any more"
            to_come = self.owed() or self.is_looked_at()
            assert to_come, f"nothing is to come that would dispatch {behind}"
        others = [node for node in model.graph if node not in behind]
        assert {n: stored.record(n).status for n in others} == {n: model.status[n] for n in others}
        assert {n: stored.record(n).attempt for n in others} == {n: model.attempt[n] for n in others}
        assert {n: stored.record(n).dispatch for n in others} == {n: model.dispatch[n] for n in others}
        tolerated = {node for node in others if stored.record(node).tolerated}
        assert tolerated == model.tolerated - set(behind)
        mark = self.mark()
        assert (mark and (mark.cause, mark.verdict)) == model.stop
        if stored.status != model.execution_status:
            assert stored.status == model.status_until_it_ends
            assert self.may_end_yet(), "nothing is to come that would end the execution"

    def compare_maps(self, stored: Stored) -> None:
        """Item by item; and who looks at a map that is due is still to come, if nobody has."""
        for node, known in self.model.maps.items():
            found = stored.maps[node].ended if node in stored.maps else {}
            assert {index: item.status for index, item in found.items()} == known.ended, node
            due = known.ends or (known.is_due and not self.model.paused)
            if due and self.model.status[node] == "open" and self.model.stop is None:
                assert self.owed() or self.is_looked_at(), f"nobody is to come who looks at {node}"

    def teardown(self) -> None:
        """Let everything that waits happen: the execution ends, and nothing is left to do. Perhaps it is
        deleted first, whatever it is about: then nothing is left of it."""
        try:
            if self.lives:
                self.outcomes.append("completed")
                if self.deleted:
                    self.harness.delete(self.execution, force=True)
                elif self.model.execution_status == "pending":
                    self.trigger()
                self.harness.drain()
                for life in self.lives:
                    if not (self.deleted and life is self.life) and self.about(life, self.is_paused):
                        self.harness.api.executions.resume(life.execution)
                self.harness.drain()
                assert not self.harness.client.zrange(keys.of().index("running"), 0, -1)
                check_everything(self.harness.client)
                left = list(self.harness.client.scan_iter(f"fe:x:{self.execution}:*"))
                assert not (self.deleted and left), left
        finally:
            self.harness.close()
            self.quiet.__exit__(None, None, None)


def _without_contradiction(says: Mapping[str, Says], ends: set[str], fails: bool) -> dict[str, Says]:
    """An `end` has no retry, no `repeat` and no `on_error`. A failure that nobody reports stops an execution
    at a moment that the model does not know (a `one_success` behind tolerated failures): other tests look at
    it."""
    said = {}
    for node, saying in says.items():
        found = (
            saying._replace(tolerates=False, tries=1, waits="", times=1, each=None)
            if node in ends
            else saying
        )
        rule_kept = not (fails and found.rule == "one_success")
        said[node] = found if rule_kept else found._replace(rule="all_done")
    return said


@pytest.mark.proves("random-order")
@pytest.mark.slow
@pytest.mark.timeout(max(120, EXAMPLES * 3))
def test_an_execution_under_everything_that_can_happen(valkey: Valkey) -> None:
    """Whatever the order, the repetitions and the deaths: the store and the model agree."""
    ExecutionMachine.url = valkey.url
    run_state_machine_as_test(
        ExecutionMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
