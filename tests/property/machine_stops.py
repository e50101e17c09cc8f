"""Rules of the machine about stopping: run timeouts, the messages and timers of stops.

The ends and failures that stop an execution are reported as any other.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.property.machine_book import Crash, crashes
from tests.property.machine_reruns import RerunRules
from tests.property.machine_steering import SteeringRules
from tests.support.rigs.harness import Entry

Beside: TypeAlias = Literal["report", "task", "stop", "trigger"]
"""What happens between the reads and the writes of a step."""


class StopRules(SteeringRules, RerunRules):
    """What happens to an execution that is being stopped."""

    @precondition(lambda self: "stop_execution" in self.seen.actors)
    @rule(data=st.data(), crash=crashes(60))
    def stop(self, data: st.DataObject, crash: Crash) -> None:
        """The message of a stop is dealt with: this run's, or an old one that comes again."""
        entry = data.draw(st.sampled_from(self.orders("stop_execution")))
        self.end_nodes(entry, crash, self.pick(data))

    @precondition(lambda self: "stop_execution" in self.seen.actors)
    @rule(
        data=st.data(),
        beside=st.sampled_from(["report", "task", "stop", "trigger"]),
        skipped=st.integers(0, 4),
    )
    def stop_at_once(self, data: st.DataObject, beside: Beside, skipped: int) -> None:
        """Something else happens between the reads and the writes of a stop's step."""
        entry = data.draw(st.sampled_from(self.orders("stop_execution")))
        first = self.harness.orchestrators[0]
        before = after = self.left_to_workers()

        def meanwhile() -> None:
            nonlocal after
            self.note_ended(before)
            self.happens_beside(beside, entry, data)
            after = self.left_to_workers()

        first.state.between, first.state.skipped = meanwhile, skipped
        assert self.deliver([entry], None, first)
        if first.state.hooked:
            first.state.between, first.state.skipped = None, 0
            self.note_ended(before, entry)
            meanwhile()
            return
        # One that a worker has begun meanwhile may have been ended: its worker does not begin then.
        self.note_ended(before)
        self.note_ended(after, entry)

    def happens_beside(self, what: Beside, entry: Entry, data: st.DataObject) -> None:
        """Callbacks under the other orchestrator, a worker, the same message once more, or a trigger."""
        second = self.harness.orchestrators[1]
        match what:
            case "report" if self.orders("node_finished"):
                self.report(self.draw_batch(data), None, second)
            case "task" if tasks := self.all_tasks():
                self.outcomes.append("completed")
                assert self.harness.deliver(self.harness.workers[0], data.draw(st.sampled_from(tasks)))
            case "stop":
                self.end_nodes(entry, None, second)
            case "trigger" if self.may_trigger:
                self.trigger()
            case _:
                return

    @precondition(lambda self: "stop" in self.seen.timers)
    @rule(data=st.data(), lease=st.booleans(), crash=crashes(60), loop=crashes(8))
    def end_stops(self, data: st.DataObject, lease: bool, crash: Crash, loop: Crash) -> None:
        """The time is over that workers have to say that they have stopped, just so or for a lease."""
        for entry in self.turn_timers(lambda: self.harness.end_stops(for_a_lease=lease), loop):
            self.expire(entry, crash, self.pick(data))

    @precondition(lambda self: "timeout" in self.seen.timers)
    @rule(data=st.data(), crash=crashes(12), loop=crashes(8))
    def end_runs(self, data: st.DataObject, crash: Crash, loop: Crash) -> None:
        """The time of the run is over."""
        for entry in self.turn_timers(self.harness.end_runs, loop):
            self.expire(entry, crash, self.pick(data))

    @precondition(lambda self: "hooks" in self.seen.timers)
    @rule(data=st.data(), crash=crashes(12), loop=crashes(8))
    def end_time_of_hooks(self, data: st.DataObject, crash: Crash, loop: Crash) -> None:
        """The time of all hooks is over."""
        for entry in self.turn_timers(self.harness.end_hooks, loop):
            self.expire(entry, crash, self.pick(data))

    def is_stopped_meanwhile(self) -> None:
        """While a worker runs a node: the execution is cancelled, an orchestrator deals with that, and the
        worker hears of it."""
        self.cancel()
        for entry in self.orders("stop_execution")[:1]:
            self.end_nodes(entry, None, self.harness.orchestrators[1])
        runner = self.harness.workers[0].runner
        runner.stops.deliver(list(runner.running.values()))
