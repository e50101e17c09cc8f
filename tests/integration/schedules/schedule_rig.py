"""Applied documents with schedules, over a harness whose clock the test moves."""

from __future__ import annotations

from collections.abc import Sequence

from flowengine.engine.definitions.definitions import Applied, NewVersion
from flowengine.errors import FlowEngineError
from flowengine.execution.schedules.records import ScheduleRecord
from flowengine.execution.schedules.views import OutcomeView, ScheduleView
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.settings import Settings
from flowengine.store.connection.clock import Clock
from flowengine.store.schedules.redis_schedules import RedisSchedules
from flowengine.workflow.plan import Plan
from flowengine.workflow.posting.posted_document import JSON, PostedDocument
from flowengine.workflow.schedules.declared import Schedule
from tests.support.faults import Gate, ProcessDied
from tests.support.rigs.harness import Harness, Process, plan_of

NAME = "nightly: {report} ü"
BEGIN = 1_924_992_000_000
"""2031-01-01T00:00:00Z: what expires by this clock does so after the test."""
MINUTE = 60_000


class MovedClock(Clock):
    """A clock that stands still until the test moves it."""

    def __init__(self, begin: int) -> None:
        super().__init__(lambda: (0, 0))
        self.at = begin

    @property
    def is_old(self) -> bool:
        return False

    def now(self) -> int:
        return self.at

    def seen(self, reply: Sequence[bytes | int]) -> int:
        return self.at


class ScheduleRig:
    """A harness on a clock of its own, with definitions that have schedules."""

    def __init__(self, url: str, *, gate: Gate | None = None, begin: int = BEGIN) -> None:
        self.clock = MovedClock(begin)
        self.harness = Harness(url, gate=gate, settings=Settings(lease_s=60.0))
        self.versions = 0
        self.set_clocks()

    def processes(self) -> list[Process]:
        """All of them."""
        harness = self.harness
        return [harness.api, *harness.orchestrators, *harness.workers]

    def set_clocks(self) -> None:
        """Every process goes by the test's clock, also one that was born again."""
        for process in self.processes():
            process.state.clock = self.clock

    def apply(
        self, *schedules: Schedule, name: str = NAME, plan: Plan | None = None, value: str = ""
    ) -> Applied:
        """Another version, with these schedules."""
        self.versions += 1
        new = NewVersion(
            plan=plan or plan_of({"a": ()}, name=name),
            document=PostedDocument(b"{}", JSON),
            value=str(self.versions),
            labels={"team": "data"},
            schedules=schedules,
        )
        return self.harness.api.executions.definitions.apply(new)

    def record(self, schedule: str = "default", name: str = NAME) -> ScheduleRecord:
        """How a schedule stands."""
        found = RedisSchedules(self.harness.api.state).find(name, schedule)
        assert found is not None, f"there is no schedule {schedule}"
        return found.record

    def shown(self, schedule: str = "default", name: str = NAME) -> ScheduleView:
        """What the API shows of it."""
        page = self.harness.api.executions.schedules.list(limit=500, name=name)
        (found,) = [one for one in page.items if one.id == schedule]
        return found

    def outcomes(self, schedule: str = "default", name: str = NAME) -> list[OutcomeView]:
        """What its times have brought about, oldest first."""
        page = self.harness.api.executions.schedules.history(name, schedule, limit=500)
        return list(page.items)[::-1]

    def kinds(self, schedule: str = "default") -> list[str]:
        """The same, in a word each."""
        return [one.outcome for one in self.outcomes(schedule)]

    def move(self, milliseconds: int) -> None:
        """Let time pass, and nobody look."""
        self.clock.at += milliseconds

    def tick(self) -> None:
        """What is due fires, and orchestrators deal with it; no node runs."""
        harness = self.harness
        for _ in range(1000):
            self._fire_timers()
            due = [one for one in harness.waiting(ORCHESTRATOR_QUEUE) if one.actor == "fire_schedule"]
            if not due:
                return
            for at, entry in enumerate(due):
                harness.deliver(harness.orchestrators[at % len(harness.orchestrators)], entry)
                self.set_clocks()
        raise AssertionError("schedules fire without end")

    def _fire_timers(self) -> None:
        try:
            self.harness.fire_timers()
        except FlowEngineError as error:
            self.harness.errors.append(error)
        except ProcessDied:
            self.harness.deaths += 1
            self.harness.orchestrators[0].reborn()
            self.set_clocks()

    def strike(self, gate: Gate) -> Gate:
        """From now on this gate counts the commands of the orchestrators, and strikes."""
        for process in self.harness.orchestrators:
            process.line.gate = gate
        return gate

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass, and what comes due meanwhile fire."""
        self.move(milliseconds)
        self.tick()
