"""A year of a clock that the test moves, in three zones, while orchestrators die; and very many at once."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest

from flowengine.errors import StoreFullError
from flowengine.execution.messages import ScheduleDue
from flowengine.store.api_state import RedisApiState
from flowengine.workflow.schedules.declared import Schedule
from tests.integration.schedules.schedule_rig import BEGIN, MINUTE, ScheduleRig
from tests.support.checks.cron_reference import between
from tests.support.checks.invariants import check_everything
from tests.support.faults import WAYS, Gate
from tests.support.servers.valkey import Valkey

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
YEAR_MS = 365 * 86_400_000
CRONS = {"fixed": "30 2 * * SUN", "often": "*/40 1-2 * * SUN", "weekly": "15 0 * * 3"}


@pytest.fixture
def rig(valkey: Valkey) -> Iterator[ScheduleRig]:
    """A stack whose clock the test moves."""
    made = ScheduleRig(valkey.url)
    yield made
    made.harness.close()


@pytest.mark.proves("schedule-year")
@pytest.mark.parametrize("place", ZONES)
def test_each_time_of_a_year_starts_one_execution_while_orchestrators_die(
    rig: ScheduleRig, place: str
) -> None:
    """Those that an independent reading of the tz database names, and no others."""
    chance = random.Random(place)
    rig.harness.second_orchestrator()
    rig.set_clocks()
    schedules = [Schedule(one, cron, timezone=place, overlap="allow") for one, cron in CRONS.items()]
    rig.apply(*schedules)
    while (due := _next_due(rig)) <= BEGIN + YEAR_MS:
        rig.clock.at = max(rig.clock.at, due + chance.randrange(20_000))
        if chance.random() < 0.4:
            rig.strike(Gate(chance.randrange(1, 60), chance.choice(WAYS)))
        rig.tick()
        rig.strike(Gate())
        rig.tick()
    assert rig.harness.deaths > 20
    for one, cron in CRONS.items():
        found = [entry for entry in rig.outcomes(one) if entry.outcome == "started"]
        assert len(found) == len(rig.outcomes(one))
        times = [_planned(rig, entry.execution_id or "") for entry in found]
        assert times == between(cron, place, BEGIN, BEGIN + YEAR_MS)
    check_everything(rig.harness.client)


def _next_due(rig: ScheduleRig) -> int:
    ((_, due),) = rig.harness.client.zrange(rig.harness.keys.timers("schedule"), 0, 0, withscores=True)
    return int(due)


def _planned(rig: ScheduleRig, execution: str) -> int | None:
    (record,) = rig.harness.api.state.read_executions([execution])
    return None if record is None else record.scheduled_at


@pytest.mark.proves("schedule-many")
def test_very_many_that_are_due_together_start_in_order_and_in_bounded_steps(rig: ScheduleRig) -> None:
    """A turn of the timer loop sends 64, the earliest first."""
    for number in range(4):
        every = [Schedule(f"s{at}", every_s=60 + at % 3, overlap="allow") for at in range(50)]
        rig.apply(*every, name=f"d{number}")
    rig.move(2 * MINUTE)
    sent: list[int] = []
    while len(sent) < 200:
        rig.harness.fire_timers()
        waiting = [e for e in rig.harness.waiting("orchestrator") if e.actor == "fire_schedule"]
        assert 0 < len(waiting) <= 64
        for entry in waiting:
            due = msgspec.json.decode(entry.payload, type=ScheduleDue)
            sent.append(int(due.schedule[1:]) % 3)
            rig.harness.deliver(rig.harness.orchestrators[0], entry)
    assert sent[:200] == sorted(sent[:200])
    assert len(rig.harness.client.keys("fe:x:*:control")) == len(sent)


@pytest.mark.proves("schedule-full")
def test_a_time_comes_again_when_no_new_work_may_come_in(
    rig: ScheduleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five seconds later; nothing is lost, and nothing is kept of it until then."""
    rig.apply(Schedule(cron="* * * * *", overlap="allow"))

    def refuse(state: RedisApiState, size: int) -> None:
        raise StoreFullError("there is no room")

    with monkeypatch.context() as patched:
        patched.setattr(RedisApiState, "letting_in", refuse)
        rig.pass_time(MINUTE)
        rig.pass_time(5_000)
    assert rig.kinds() == []
    rig.pass_time(4_000)
    assert rig.kinds() == []
    rig.pass_time(1_000)
    assert rig.kinds() == ["started"]
    assert rig.outcomes()[0].execution_id is not None


@pytest.mark.proves("schedule-full")
def test_a_time_that_was_noticed_is_not_missed_however_long_it_is_put_off(
    rig: ScheduleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `catch_up: none`, and longer than the time within which it has to be noticed."""
    rig.apply(Schedule(cron="0 * * * *", catch_up="none"))

    def refuse(state: RedisApiState, size: int) -> None:
        raise StoreFullError("there is no room")

    with monkeypatch.context() as patched:
        patched.setattr(RedisApiState, "letting_in", refuse)
        rig.pass_time(60 * MINUTE)
        for _ in range(12):
            rig.pass_time(5_000)
    assert (rig.kinds(), rig.record().noticed) == ([], BEGIN + 60 * MINUTE)
    rig.pass_time(5_000)
    (outcome,) = rig.outcomes()
    assert outcome.outcome == "started"
    assert _planned(rig, outcome.execution_id or "") == BEGIN + 60 * MINUTE
    assert (rig.record().noticed, rig.record().next) == (None, BEGIN + 120 * MINUTE)
