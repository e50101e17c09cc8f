"""Rules of lines: who runs, who waits, and how a place becomes free."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

QUEUED: Final = ("tests/integration/limits/test_queued_executions.py",)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, QUEUED)


MUTANTS: Final = (
    _in(
        "only those among the first run",
        "store/limits/lines",
        "return _decoded(members[:limit])",
        "return _decoded(members)",
    ),
    _in(
        "an execution runs at once only if its place is not behind the limit",
        "engine/limits/turn",
        "if found is not None and found <= limit:",
        "if found is not None:",
    ),
    _in(
        "what is queued has no timer of its run",
        "execution/rules/limits/queueing",
        "            case ArmTimer() | Send():\n                continue\n",
        "            case Send():\n                continue\n",
    ),
    _in(
        "what joins a line sends the message that looks at it",
        "execution/rules/limits/queueing",
        "return [*found, Stand(place), entered, _moved(run, place)]",
        "return [*found, Stand(place), entered]",
    ),
    _in(
        "what leaves a line sends the message that looks at it",
        "execution/rules/limits/queueing",
        "return (LeaveLine(place.line, member), _moved(run, place))",
        "return (LeaveLine(place.line, member),)",
    ),
    _in(
        "an execution leaves its line when it has ended",
        "execution/rules/concluding",
        "        *leave_line(run, control),\n",
        "",
    ),
    _in(
        "one that is cancelled while it waits leaves its line",
        "execution/rules/stopping",
        "*leave_line(run, record.control), ",
        "",
    ),
    _in(
        "one that is deleted while it waits leaves its line",
        "execution/rules/steering/deleting",
        ", *leave_line(run, control))",
        ")",
    ),
    _in(
        "who is admitted still waits, under the WATCH of its record",
        "engine/limits/line_step",
        "control is None or not waits_for_turn(control, member.run, line):",
        "control is None:",
    ),
    _in(
        "one that waits is not triggered again",
        "engine/commands/trigger",
        'if record.status == "pending" and record.run:',
        "if False:",
    ),
    _in(
        "one that does not wait is withdrawn if it stands behind the limit",
        "engine/limits/turn",
        'elif place.on_limit == "reject" and record.run == 1:',
        "elif False:",
    ),
    _in(
        "what is withdrawn expires again",
        "store/committing/encode_changes",
        '            *(("EXPIREAT", name, gone) for name in self._keys.with_control(execution)),\n'
        '            *(("EXPIREAT", name, later) for name in names),\n'
        '            ("EXPIREAT", self._keys.listed(execution), later + LISTED_LONGER_S),\n'
        '            *(("DEL"',
        '            *(("EXPIREAT", name, later) for name in names),\n'
        '            ("EXPIREAT", self._keys.listed(execution), later + LISTED_LONGER_S),\n'
        '            *(("DEL"',
    ),
    _in(
        "a newcomer has one cancelled, and no more",
        "engine/limits/line_step",
        "unit.commit({victim.execution: changes, newcomer: [noted]})",
        "unit.commit({victim.execution: changes})",
    ),
    _in(
        "a newcomer has that cancelled which has waited longest",
        "engine/limits/line_step",
        "[*before[limit:], *before[:limit]]",
        "before",
    ),
    _in(
        "the limit of the last one that joined holds",
        "store/limits/line_commands",
        '        ("HSET", names.line_limits, change.line, change.limit),\n',
        '        ("HSETNX", names.line_limits, change.line, change.limit),\n',
    ),
    _in(
        "the sweep looks at lines",
        "engine/maintenance/sweep",
        "if moved := self._lines.look():",
        "if moved := 0:",
    ),
    _in(
        "the sweep leaves alone what it has not seen before",
        "engine/maintenance/unmoved_lines",
        "waited = [before[line, member] for member in due if (line, member) in before]",
        "waited = [before.get((line, member), 0) for member in due]",
    ),
    _in(
        "what does not stand in a line by its record is removed",
        "engine/limits/line_step",
        "                removed += self._remove(line, stander)\n",
        "                continue\n",
    ),
)
