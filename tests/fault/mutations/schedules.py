"""Rules of schedules: which times there are, what one brings about, and what a firing and an apply write."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

STORED: Final = ("tests/integration/schedules/test_schedules.py",)
CUTS: Final = ("tests/integration/schedules/test_schedule_cuts.py",)
YEAR: Final = ("tests/integration/schedules/test_schedule_year.py",)
TIMES: Final = ("tests/unit/workflow/test_schedule_times.py",)
RULES: Final = ("tests/unit/execution/test_schedule_rules.py",)
DOCUMENTS: Final = ("tests/unit/workflow/test_schedules.py",)


def _in(rule: str, path: str, old: str, new: str, tests: tuple[str, ...] = STORED) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, tests)


MUTANTS: Final = (
    _in(
        "what moves a schedule WATCHes it",
        "store/schedules/redis_schedules",
        "retrying_watch([key], [",
        "retrying_watch([], [",
    ),
    _in(
        "an apply WATCHes the schedules that there are",
        "store/definitions/redis_definitions",
        "session.watch_more(names, [",
        "session.watch_more(names[:0] or [key], [",
    ),
    _in(
        "a firing arms the following time",
        "store/schedules/redis_schedules",
        "        commands += moving(names, self._name, move.record, due)\n",
        "        commands += moving(names, self._name, move.record, due)[:1]\n",
        YEAR,
    ),
    _in(
        "a time is acknowledged by the transaction that decides about it, or after what follows",
        "engine/schedules/schedule_step",
        "None if looked.cancels else held.acknowledge",
        "held.acknowledge",
        CUTS,
    ),
    _in(
        "what waits has what still runs cancelled, also when somebody has died before that",
        "execution/schedules/rules",
        "return Look(record, cancels=_cancelled(record))\n    outcomes",
        "return Look(record)\n    outcomes",
        CUTS,
    ),
    _in(
        "an execution begins in the transaction that decides about its time",
        "engine/schedules/schedule_step",
        "            created = {execution: changes}\n",
        "            self._executions.write({execution: changes})\n            created = {}\n",
        CUTS,
    ),
    _in(
        "a schedule that is paused starts nothing",
        "execution/schedules/rules",
        "    if record.is_paused:\n        return Look(record)\n    if record.waiting",
        "    if record.waiting",
        RULES,
    ),
    _in(
        "a schedule that is paused has no timer",
        "store/schedules/schedule_commands",
        "None if record.is_paused else due",
        "due",
    ),
    _in(
        "an end tells the schedule",
        "execution/rules/concluding",
        "    told = (*tell_schedule(plan.name, control), ",
        "    told = (*(), ",
    ),
    _in(
        "an end decides about no time",
        "execution/schedules/rules",
        "if noticed is None or due is None or due > now:",
        "if due is None or due > now:",
        RULES,
    ),
    _in(
        "a time that was noticed late was missed",
        "execution/schedules/rules",
        "noticed), now) - due > GRACE_MS",
        "noticed), now) - due > 1000 * GRACE_MS",
    ),
    _in(
        "a long queue is no outage",
        "execution/schedules/rules",
        "min(_first_noticed(record, noticed), now) - due > GRACE_MS",
        "now - due > GRACE_MS",
        RULES,
    ),
    _in(
        "at most a hundred missed times are caught up",
        "execution/schedules/rules",
        'most = 1 if schedule.catch_up == "latest" else CAUGHT_UP\n',
        'most = 1 if schedule.catch_up == "latest" else 2 * CAUGHT_UP\n',
    ),
    _in(
        "an operator's pause stays over an apply",
        "execution/schedules/rules",
        'word.said == "resumed" and schedule.paused',
        "schedule.paused",
        RULES,
    ),
    _in(
        "what came while it was paused is not caught up",
        "execution/schedules/rules",
        "waiting=None, next=following, noticed=None)",
        "waiting=None, noticed=None)",
    ),
    _in(
        "what is taken out of a document is disarmed",
        "store/definitions/redis_definitions",
        "        commands += disarming(self._keys, self._name, armed.gone)\n",
        "",
    ),
    _in(
        "a deleted definition has no schedules",
        "store/definitions/redis_definitions",
        "        commands += disarming(self._keys, self._name, tuple(self.kept.schedules))\n",
        "",
    ),
    _in(
        "an hour that comes twice is named once",
        "workflow/schedules/times",
        "if found > previous:",
        "if True:",
        TIMES,
    ),
    _in(
        "what elapses is asked for between two changes of the clock",
        "workflow/schedules/times",
        "        if _offset(place, high) == offset:\n",
        "        if True:\n",
        TIMES,
    ),
    _in(
        "a schedule cannot give what is secret",
        "workflow/schedules/given_inputs",
        "        elif one.secret:\n",
        "        elif False:\n",
        DOCUMENTS,
    ),
    _in(
        "the sweep waits until no message can be on its way",
        "engine/maintenance/unarmed_schedules",
        "if seen + self._margin_ms < oldest:",
        "if seen + self._margin_ms < now:",
    ),
    _in(
        "when no new work may come in, a time comes again",
        "engine/schedules/schedule_step",
        "due=unit.now + AGAIN_MS)",
        "due=unit.now + 1000 * AGAIN_MS)",
        YEAR,
    ),
    _in(
        "a time that is put off was noticed",
        "engine/schedules/schedule_step",
        "Move(put_off(record, due.noticed), ",
        "Move(record, ",
        YEAR,
    ),
    _in(
        "a time that was decided about says nothing of the next one",
        "execution/schedules/rules",
        "armed_at, due), noticed=None)",
        "armed_at, due))",
        RULES,
    ),
)
