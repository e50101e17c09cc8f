"""Firings, applies and an operator's words, cut at each of their commands: repeated, each is done once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import msgspec
import pytest

from flowengine.errors import StoreUnavailableError
from flowengine.workflow.inputs.declared import Input
from flowengine.workflow.schedules.declared import Overlap, Schedule
from tests.integration.schedules.schedule_rig import MINUTE, ScheduleRig
from tests.support.checks.invariants import check_everything
from tests.support.faults import Gate, ProcessDied, Way
from tests.support.rigs.harness import plan_of
from tests.support.servers.valkey import Valkey

Scene = Callable[[ScheduleRig, str], None]


@pytest.fixture
def rig(valkey: Valkey) -> Iterator[ScheduleRig]:
    """A stack whose clock the test moves."""
    made = ScheduleRig(valkey.url)
    yield made
    made.harness.close()


def minutely(overlap: Overlap) -> Schedule:
    """A schedule that comes each minute."""
    return Schedule(cron="* * * * *", overlap=overlap)


def a_start(rig: ScheduleRig, name: str) -> None:
    """The first time is about to come."""
    rig.apply(minutely("skip"), name=name)


def a_refusal(rig: ScheduleRig, name: str) -> None:
    """What is given does not fit."""
    day = Input(msgspec.Raw(b'{"type": "integer"}'))
    plan = msgspec.structs.replace(plan_of({"a": ()}, name=name), inputs={"day": day})
    given = msgspec.Raw(b'{"day": "x"}')
    rig.apply(msgspec.structs.replace(minutely("skip"), inputs=given), name=name, plan=plan)


def a_skip(rig: ScheduleRig, name: str) -> None:
    """One still runs."""
    rig.apply(minutely("skip"), name=name)
    rig.pass_time(MINUTE)


def a_cancel(rig: ScheduleRig, name: str) -> None:
    """One still runs, and is to be cancelled."""
    rig.apply(minutely("cancel_running"), name=name)
    rig.pass_time(MINUTE)


SCENES: dict[str, tuple[Scene, list[str], int]] = {
    "start": (a_start, ["started"], 1),
    "refusal": (a_refusal, ["refused"], 0),
    "skip": (a_skip, ["started", "skipped"], 1),
    "cancel": (a_cancel, ["started", "queued"], 1),
}


@pytest.mark.proves("schedule-cut")
@pytest.mark.parametrize("scene", SCENES)
def test_a_firing_cut_anywhere_is_done_once_when_it_comes_again(rig: ScheduleRig, scene: str) -> None:
    """In the timer loop or with its message, in every way that leaves something else behind."""
    prepare, expected, executions = SCENES[scene]

    def tried(number: int, gate: Gate) -> None:
        name = f"d{number}"
        prepare(rig, name)
        before = len(rig.harness.client.keys("fe:x:*:control")) - (executions if len(expected) > 1 else 0)
        rig.strike(gate)
        rig.pass_time(MINUTE)
        rig.strike(Gate())
        rig.tick()
        check_everything(rig.harness.client)
        assert [one.outcome for one in rig.outcomes(name=name)] == expected, gate.struck
        assert len(rig.harness.client.keys("fe:x:*:control")) - before == executions, gate.struck
        if scene == "cancel":
            assert rig.shown(name=name).running[0].status == "cancelling", gate.struck
        rig.harness.api.executions.definitions.delete(name)

    whole = Gate()
    tried(0, whole)
    points: list[tuple[Way, int]] = list(dict.fromkeys(whole.apart))
    assert len(points) > 8
    for number, (way, at) in enumerate(points, 1):
        tried(number, Gate(at, way))
    rig.harness.drain()


@pytest.mark.proves("schedule-cut")
def test_an_end_cut_anywhere_lets_what_waits_start_once(rig: ScheduleRig) -> None:
    """The message of the end finds it, or finds that it has started."""

    def tried(number: int, gate: Gate) -> None:
        name = f"d{number}"
        rig.apply(minutely("queue"), name=name)
        rig.pass_time(MINUTE)
        rig.pass_time(MINUTE)
        rig.strike(gate)
        rig.harness.drain()
        rig.strike(Gate())
        rig.set_clocks()
        rig.harness.drain()
        kinds = [one.outcome for one in rig.outcomes(name=name)]
        assert kinds == ["started", "queued", "started"], gate.struck
        rig.harness.api.executions.definitions.delete(name)

    whole = Gate()
    tried(0, whole)
    for number, (way, at) in enumerate(dict.fromkeys(whole.apart[::3]), 1):
        tried(number, Gate(at, way))
    check_everything(rig.harness.client)


@pytest.mark.proves("schedule-cut")
@pytest.mark.parametrize("what", ["apply", "pause", "resume", "delete"])
def test_what_an_operator_does_cut_anywhere_is_done_once_it_is_repeated(rig: ScheduleRig, what: str) -> None:
    """All of it, or nothing."""
    process = rig.harness.api
    first, second = minutely("skip"), msgspec.structs.replace(minutely("skip"), id="second")

    def act(name: str) -> None:
        schedules = process.executions.schedules
        if what == "apply":
            rig.versions -= 1
            rig.apply(second, name=name)
        elif what == "delete":
            process.executions.definitions.delete(name)
        else:
            getattr(schedules, what)(name, "default")

    def tried(number: int, gate: Gate) -> None:
        name = f"d{number}"
        rig.apply(first, name=name)
        if what == "resume":
            process.executions.schedules.pause(name, "default")
        rig.versions += 1
        process.line.gate = gate
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            act(name)
        if process.line.dead:
            process.reborn()
            rig.set_clocks()
        process.line.gate = Gate()
        check_everything(rig.harness.client)
        there = process.executions.schedules.list(limit=9, name=name).items
        if what != "delete" or there:
            act(name)
        check_everything(rig.harness.client)
        there = process.executions.schedules.list(limit=9, name=name).items
        wanted = {"apply": [("second", "active")], "pause": [("default", "paused")], "delete": []}
        assert [(one.id, one.status) for one in there] == wanted.get(what, [("default", "active")])

    whole = Gate()
    tried(0, whole)
    for number, (way, at) in enumerate(dict.fromkeys(whole.apart), 1):
        tried(number, Gate(at, way))
