"""Schedules at work: each time once, what is missed, what overlaps, pauses, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import ScheduleNotFoundError
from flowengine.execution.limits.lines import shown_key
from flowengine.execution.messages import ScheduleDue
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import moment
from flowengine.jsonvalue import JsonValue
from flowengine.queues import ORCHESTRATOR_QUEUE, crowd_line
from flowengine.settings import Limits
from flowengine.store.connection.sessions import Commands
from flowengine.workflow import check_document
from flowengine.workflow.inputs.declared import Input
from flowengine.workflow.inputs.values import InputsInvalidError
from flowengine.workflow.limits.declared import Concurrency
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.schedules.declared import CatchUp, Overlap, Schedule
from tests.integration.schedules.schedule_rig import BEGIN, MINUTE, NAME, ScheduleRig
from tests.support.checks.invariants import check_everything
from tests.support.rigs.harness import plan_of, registry
from tests.support.servers.valkey import Valkey

MINUTELY = Schedule(cron="* * * * *", overlap="allow")


@pytest.fixture
def rig(valkey: Valkey) -> Iterator[ScheduleRig]:
    """A stack whose clock the test moves."""
    made = ScheduleRig(valkey.url)
    yield made
    made.harness.drain()
    check_everything(made.harness.client)
    made.harness.close()


def started(rig: ScheduleRig) -> list[ExecutionRecord]:
    """The records of all executions that were started, in the order of their times."""
    ids = [one.execution_id for one in rig.outcomes() if one.outcome == "started"]
    found = rig.harness.api.state.read_executions([one for one in ids if one is not None])
    return [one for one in found if one is not None]


@pytest.mark.proves("schedule-once")
def test_each_time_starts_one_execution_of_the_version_in_force(rig: ScheduleRig) -> None:
    """It has the labels and the document of the definition, and knows the time that it is of."""
    rig.apply(MINUTELY)
    rig.pass_time(MINUTE)
    rig.apply(MINUTELY)
    rig.pass_time(MINUTE)
    found = started(rig)
    assert [(one.version, one.scheduled_at) for one in found] == [
        (1, BEGIN + MINUTE),
        (2, BEGIN + 2 * MINUTE),
    ]
    assert [(one.name, one.labels, one.schedule) for one in found] == [
        (NAME, {"team": "data"}, "default")
    ] * 2
    assert rig.record().next == BEGIN + 3 * MINUTE


@pytest.mark.proves("schedule-once")
def test_of_two_orchestrators_that_look_at_once_one_starts_it(rig: ScheduleRig) -> None:
    """The other is refused, looks again, and finds nothing due."""
    first, second = rig.harness.orchestrators[0], rig.harness.second_orchestrator()
    rig.set_clocks()
    rig.apply(MINUTELY)
    rig.move(MINUTE)
    send(rig, rig.clock.at, rig.clock.at)
    one, other = rig.harness.waiting(ORCHESTRATOR_QUEUE)
    first.state.between = lambda: rig.harness.deliver(second, other)
    rig.harness.deliver(first, one)
    rig.tick()
    assert rig.kinds() == ["started"]


@pytest.mark.proves("schedule-once")
def test_a_time_that_comes_while_a_document_is_applied_is_not_decided_twice(rig: ScheduleRig) -> None:
    """The apply looks again: nothing of it is older than what was decided meanwhile."""
    rig.apply(MINUTELY)
    rig.move(MINUTE)
    rig.harness.api.state.between = rig.tick
    rig.apply(MINUTELY)
    rig.tick()
    assert [(one.version, one.scheduled_at) for one in started(rig)] == [(1, BEGIN + MINUTE)]
    assert (rig.record().version, rig.record().next) == (2, BEGIN + 2 * MINUTE)


def send(rig: ScheduleRig, *noticed: int | None) -> None:
    """Messages that the time of the schedule has come, or that something has ended."""
    commands = Commands()
    for at in noticed:
        due = ScheduleDue(name=NAME, schedule="default", noticed=at)
        rig.harness.api.state.post(commands, ORCHESTRATOR_QUEUE, due, "")
    rig.harness.api.state.sessions.here().write(commands)


def test_a_schedule_that_is_applied_is_shown_with_its_next_times(rig: ScheduleRig) -> None:
    """Five of them, and nothing that has happened."""
    rig.apply(Schedule(cron="0 2 * * *", timezone="Europe/Berlin"))
    shown = rig.shown()
    assert (shown.status, shown.version, shown.cron, shown.timezone) == (
        "active",
        1,
        "0 2 * * *",
        "Europe/Berlin",
    )
    assert [str(time)[:16] for time in shown.next_times] == [f"2031-01-0{day}T01:00" for day in range(1, 6)]
    assert (shown.last, shown.running, shown.waiting, shown.every_seconds) == ((), (), None, None)


def dated(at: str) -> Plan:
    """A workflow that reads of which time it is, and by which version it runs."""
    document: JsonValue = {
        "name": NAME,
        "vars": {"of": "{{ execution.version * " + at + " }}"},
        "concurrency": {"key": "{{ execution.scheduled_at }} v{{ execution.version }}", "limit": 1},
        "nodes": [
            {
                "id": "a",
                "handler": "sum",
                "config": {
                    "inputs": ["{{ execution.scheduled_at | date_format('%Y') | int }}", "{{ vars.of }}"]
                },
            }
        ],
    }
    checked = check_document(document, registry(), Limits())
    assert checked.plan is not None, checked.problems
    return checked.plan


def test_a_rerun_as_a_new_execution_is_of_the_same_time(rig: ScheduleRig) -> None:
    """No schedule has started it, and what is made anew for it goes by its own version."""
    rig.apply(MINUTELY, plan=dated("10"))
    rig.pass_time(MINUTE)
    rig.harness.drain()
    (origin,) = rig.outcomes()
    assert origin.execution_id is not None
    rig.apply(MINUTELY, plan=dated("100"))
    asked = RerunAsked(Wanted("all"))
    made = rig.harness.api.executions.fork(origin.execution_id, asked, "latest").execution_id
    rig.harness.drain()
    (record,) = rig.harness.api.state.read_executions([made])
    assert record is not None
    assert (record.status, record.schedule, record.scheduled_at) == ("completed", None, BEGIN + MINUTE)
    assert record.line is not None
    assert shown_key(record.line.line) == f"{moment(BEGIN + MINUTE)} v2"
    assert rig.harness.results(origin.execution_id) == {"a": 2031 + 10 + 1}
    assert rig.harness.results(made) == {"a": 2031 + 200 + 1}


def test_a_message_that_comes_again_starts_nothing_more(rig: ScheduleRig) -> None:
    """The time that it speaks of has been decided."""
    rig.apply(MINUTELY)
    rig.pass_time(MINUTE)
    send(rig, rig.clock.at, None)
    rig.tick()
    assert rig.kinds() == ["started"]


@pytest.mark.proves("schedule-missed")
@pytest.mark.parametrize(
    ("catch_up", "expected"), [("none", []), ("latest", [10]), ("all", list(range(1, 11)))]
)
def test_what_an_outage_has_missed_is_caught_up_as_the_schedule_says(
    rig: ScheduleRig, catch_up: CatchUp, expected: list[int]
) -> None:
    """Ten minutes nobody looks; the last of the times is older than half a minute then."""
    rig.apply(msgspec.structs.replace(MINUTELY, catch_up=catch_up))
    rig.pass_time(10 * MINUTE + 45_000)
    assert [one.scheduled_at for one in started(rig)] == [BEGIN + minute * MINUTE for minute in expected]
    missed = [one for one in rig.outcomes() if one.outcome == "missed"]
    if catch_up == "all":
        assert not missed
    else:
        (one,) = missed
        last = 10 if catch_up == "none" else 9
        assert (one.scheduled_at, one.until) == (moment(BEGIN + MINUTE), moment(BEGIN + last * MINUTE))
    rig.pass_time(30_000)
    assert rig.kinds()[-1] == "started"


def test_at_most_a_hundred_missed_times_are_caught_up(rig: ScheduleRig) -> None:
    """The newest; the history says which are not."""
    rig.apply(msgspec.structs.replace(MINUTELY, catch_up="all"))
    rig.pass_time(250 * MINUTE)
    assert rig.kinds() == ["missed", *["started"] * 100]
    assert rig.outcomes()[0].until == moment(BEGIN + 150 * MINUTE)


@pytest.mark.proves("schedule-back")
def test_a_clock_that_is_set_back_repeats_nothing(rig: ScheduleRig) -> None:
    """A time that was decided is decided; the next one waits for the clock to come there again."""
    rig.apply(MINUTELY)
    rig.pass_time(2 * MINUTE)
    rig.pass_time(-5 * MINUTE)
    assert rig.shown().next_times[0] == moment(BEGIN + 3 * MINUTE)
    for _ in range(6):
        rig.pass_time(MINUTE)
    times = [one.scheduled_at for one in started(rig)]
    assert times == [BEGIN + 2 * MINUTE, BEGIN + 3 * MINUTE]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", ["started", "skipped", "skipped"]),
        ("allow", ["started", "started", "started"]),
        ("queue", ["started", "queued", "replaced", "queued"]),
        ("cancel_running", ["started", "queued", "replaced", "queued"]),
    ],
)
def test_a_time_that_finds_an_execution_running(
    rig: ScheduleRig, overlap: Overlap, expected: list[str]
) -> None:
    """What becomes of it says `overlap`."""
    rig.apply(Schedule(cron="* * * * *", overlap=overlap))
    for _ in range(3):
        rig.pass_time(MINUTE)
    assert rig.kinds() == expected
    cancelled = rig.shown().running[0].status == "cancelling" if overlap != "allow" else False
    assert cancelled == (overlap == "cancel_running")


@pytest.mark.proves("schedule-overlap")
@pytest.mark.parametrize("overlap", ["queue", "cancel_running"])
def test_the_newest_time_that_waits_starts_when_the_one_that_runs_has_ended(
    rig: ScheduleRig, overlap: Overlap
) -> None:
    """At once, by a message of the end."""
    rig.apply(Schedule(cron="* * * * *", overlap=overlap))
    for _ in range(3):
        rig.pass_time(MINUTE)
    assert rig.shown().waiting == moment(BEGIN + 3 * MINUTE)
    rig.harness.drain()
    rig.set_clocks()
    assert rig.kinds()[-1] == "started"
    assert [one.scheduled_at for one in started(rig)] == [BEGIN + MINUTE, BEGIN + 3 * MINUTE]
    first = "cancelled" if overlap == "cancel_running" else "completed"
    assert [one.status for one in started(rig)] == [first, "completed"]
    assert rig.shown().waiting is None


def test_a_paused_execution_holds_its_schedule_up_and_is_named(rig: ScheduleRig) -> None:
    """It counts as running."""
    rig.apply(Schedule(cron="* * * * *"))
    rig.pass_time(MINUTE)
    (running,) = rig.shown().running
    rig.harness.api.executions.pause(running.execution_id)
    rig.pass_time(MINUTE)
    shown = rig.shown()
    assert shown.held_by == (running.execution_id,)
    assert shown.last[0].outcome == "skipped"
    assert shown.last[0].execution_id == running.execution_id
    rig.harness.api.executions.resume(running.execution_id)


@pytest.mark.proves("schedule-paused")
def test_an_operators_pause_stays_over_an_apply_and_what_came_meanwhile_is_not_caught_up(
    rig: ScheduleRig,
) -> None:
    """Resumed, it goes on with the next time."""
    schedules = rig.harness.api.executions.schedules
    rig.apply(msgspec.structs.replace(MINUTELY, catch_up="all"))
    assert schedules.pause(NAME, "default").status == "paused"
    rig.apply(msgspec.structs.replace(MINUTELY, catch_up="all"))
    rig.pass_time(5 * MINUTE)
    shown = rig.shown()
    assert (shown.status, shown.paused is not None and shown.paused.by, shown.next_times) == (
        "paused",
        "operator",
        (),
    )
    assert rig.kinds() == []
    assert schedules.resume(NAME, "default").next_times[0] == moment(BEGIN + 6 * MINUTE)
    rig.pass_time(MINUTE)
    assert [one.scheduled_at for one in started(rig)] == [BEGIN + 6 * MINUTE]


def test_a_document_can_say_that_a_schedule_is_paused(rig: ScheduleRig) -> None:
    """An operator's resume counts, until the document says something else."""
    rig.apply(msgspec.structs.replace(MINUTELY, paused=True))
    rig.pass_time(2 * MINUTE)
    assert rig.shown().paused is not None
    assert rig.kinds() == []
    rig.harness.api.executions.schedules.resume(NAME, "default")
    rig.apply(msgspec.structs.replace(MINUTELY, paused=True))
    assert rig.shown().status == "active"
    rig.apply(MINUTELY)
    rig.apply(msgspec.structs.replace(MINUTELY, paused=True))
    assert rig.shown().status == "paused"


@pytest.mark.proves("schedule-gone")
def test_a_schedule_that_is_taken_out_or_whose_definition_is_deleted_is_disarmed(rig: ScheduleRig) -> None:
    """Nothing of it is left; one that comes back begins anew."""
    other = msgspec.structs.replace(MINUTELY, id="other")
    rig.apply(MINUTELY, other)
    rig.pass_time(MINUTE)
    rig.apply(MINUTELY)
    check_everything(rig.harness.client)
    with pytest.raises(ScheduleNotFoundError):
        rig.outcomes("other")
    rig.move(MINUTE)
    rig.harness.fire_timers()
    rig.harness.api.executions.definitions.delete(NAME)
    rig.tick()
    assert rig.harness.api.executions.schedules.list(limit=10).items == ()
    rig.apply(MINUTELY)
    assert rig.kinds() == []


@pytest.mark.proves("schedule-lost")
def test_a_schedule_whose_message_is_lost_is_armed_again(rig: ScheduleRig) -> None:
    """By the second sweep that finds it so, once no message can be on its way; not while one waits."""
    rig.apply(msgspec.structs.replace(MINUTELY, catch_up="all"))
    rig.move(MINUTE)
    rig.harness.fire_timers()
    sweep = rig.harness.orchestrators[0].sweep
    for _ in range(3):
        rig.move(MINUTE)
        assert sweep.run() == 0
    for line in (ORCHESTRATOR_QUEUE, crowd_line(ORCHESTRATOR_QUEUE)):
        rig.harness.client.xtrim(rig.harness.stream(line), 0)
    rig.move(MINUTE)
    assert sweep.run() == 1
    rig.tick()
    assert rig.kinds() == ["started"] * 5


def test_seconds_count_from_the_first_apply(rig: ScheduleRig) -> None:
    """Also when another apply changes the number."""
    rig.apply(Schedule(every_s=60, overlap="allow"))
    rig.pass_time(90_000)
    rig.apply(Schedule(every_s=50, overlap="allow"))
    assert rig.record().next == BEGIN + 100_000
    rig.pass_time(10_000)
    assert [one.scheduled_at for one in started(rig)] == [BEGIN + 60_000, BEGIN + 100_000]


@pytest.mark.proves("schedule-refused")
def test_inputs_are_rendered_with_the_time_and_one_that_does_not_fit_is_refused_and_kept(
    rig: ScheduleRig,
) -> None:
    """The schedule goes on with its next time."""
    day = Input(msgspec.Raw(b'{"type": "string", "pattern": "03$"}'))
    plan = msgspec.structs.replace(plan_of({"a": ()}, name=NAME), inputs={"day": day})
    given = msgspec.Raw(b"""{"day": "{{ execution.scheduled_at | date_format('%Y-%m-%d') }}"}""")
    rig.apply(Schedule(cron="@daily", inputs=given, overlap="allow"), plan=plan)
    for _ in range(2):
        rig.pass_time(24 * 60 * MINUTE)
    refused, kept = rig.outcomes()
    assert (refused.outcome, refused.code) == ("refused", "inputs_invalid")
    assert "day" in (refused.message or "")
    assert kept.outcome == "started"
    execution = kept.execution_id or ""
    view = rig.harness.api.executions.status(execution)
    assert view.inputs == {"day": msgspec.Raw(b'"2031-01-03"')}
    assert view.scheduled_at == moment(BEGIN + 48 * 60 * MINUTE)


def test_a_limit_on_executions_decides_what_overlaps(rig: ScheduleRig) -> None:
    """One that does not wait is refused, and that is kept."""
    overall = ExecutionPolicy(concurrency=Concurrency(1, None, "reject"))
    rig.apply(MINUTELY, plan=plan_of({"a": ()}, name=NAME, overall=overall))
    rig.pass_time(MINUTE)
    rig.pass_time(MINUTE)
    assert rig.kinds() == ["started", "refused"]
    assert rig.outcomes()[1].code == "concurrency_limit"


def test_an_operator_starts_an_execution_whatever_is_paused_or_runs(rig: ScheduleRig) -> None:
    """It is told who; and it counts as running for the next time."""
    rig.apply(Schedule(cron="* * * * *"))
    schedules = rig.harness.api.executions.schedules
    schedules.pause(NAME, "default")
    first = schedules.trigger(NAME, "default", "c-1")
    second = schedules.trigger(NAME, "default", "c-2")
    schedules.resume(NAME, "default")
    rig.pass_time(MINUTE)
    assert rig.kinds() == ["started", "started", "skipped"]
    assert [one.by is not None for one in rig.outcomes()] == [True, True, False]
    assert {one.execution_id for one in rig.shown().running} == {first.execution_id, second.execution_id}


def test_a_start_by_hand_that_does_not_fit_is_told_to_the_operator(rig: ScheduleRig) -> None:
    """And is no outcome of the schedule."""
    day = Input(msgspec.Raw(b'{"type": "integer"}'))
    plan = msgspec.structs.replace(plan_of({"a": ()}, name=NAME), inputs={"day": day})
    rig.apply(Schedule(cron="@daily"), plan=plan)
    with pytest.raises(InputsInvalidError):
        rig.harness.api.executions.schedules.trigger(NAME, "default", "c")
    assert rig.kinds() == []


def test_lists_and_histories_come_in_pages(rig: ScheduleRig) -> None:
    """By name and id; a history newest first."""
    for name in ("b", "a"):
        ids = [msgspec.structs.replace(MINUTELY, id=one) for one in ("y", "x")]
        rig.apply(*ids, name=name)
    schedules = rig.harness.api.executions.schedules
    page = schedules.list(limit=3)
    assert [(one.name, one.id) for one in page.items] == [("a", "x"), ("a", "y"), ("b", "x")]
    assert page.next_cursor is not None
    rest = schedules.list(limit=3, cursor=page.next_cursor)
    assert ([(one.name, one.id) for one in rest.items], rest.next_cursor) == ([("b", "y")], None)
    assert [one.id for one in schedules.list(limit=3, name="b").items] == ["x", "y"]
    assert [one.name for one in schedules.list(limit=9, patterns=("b*",)).items] == ["b", "b"]
    for _ in range(3):
        rig.pass_time(MINUTE)
    newest = schedules.history("a", "x", limit=2)
    assert [one.scheduled_at for one in newest.items] == [moment(BEGIN + at * MINUTE) for at in (3, 2)]
    oldest = schedules.history("a", "x", limit=2, cursor=newest.next_cursor or "")
    assert ([one.scheduled_at for one in oldest.items], oldest.next_cursor) == (
        [moment(BEGIN + MINUTE)],
        None,
    )
