"""Rules of lines: who runs, who waits, and how a place becomes free."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

QUEUED: Final = ("tests/integration/limits/test_queued_executions.py",)
TURNS: Final = ("tests/integration/limits/test_node_turns.py",)


STARTS: Final = ("tests/integration/limits/test_starts.py",)


def _of_starts(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, STARTS)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, QUEUED)


def _of_nodes(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, TURNS)


CACHES: Final = ("tests/integration/engine/test_engine_cache.py",)


def _of_caches(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, CACHES)


MADE_KEYS: Final = ("tests/integration/limits/test_made_keys.py",)


def _of_keys(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, MADE_KEYS)


LATE_KEYS: Final = ("tests/integration/limits/test_late_keys.py",)


def _of_late_keys(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, LATE_KEYS)


CALLS: Final = ("tests/integration/engine/test_engine_call_races.py",)

GROUPS: Final = ("tests/integration/limits/test_group_turns.py",)


def _of_groups(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, GROUPS)


MUTANTS: Final = (
    _of_groups(
        "a group that is opened by its task keeps its place",
        "execution/rules/finishing",
        "opens = isinstance(callback.outcome, Child) and control.stop is None",
        "opens = False",
    ),
    _of_groups(
        "the record of an open group says where it stands",
        "execution/rules/finishing",
        "replace(_ended(report), turn=report.before.turn)",
        "_ended(report)",
    ),
    _of_groups(
        "what is in a group needs no place that the group holds",
        "execution/rules/limits/node_turns",
        "if plan.lineage is not None and line in plan.lineage.lines:",
        "if False:",
    ),
    _of_groups(
        "groups in groups know of all places held around them",
        "engine/advancing/steps/child_making",
        "lines = () if above is None else above.lines",
        "lines = ()",
    ),
    _of_groups(
        "the start of a group counts when it is opened",
        "execution/rules/limits/node_turns",
        "counted = (CountStart(pace, member, now),) if opened else ()",
        "counted = ()",
    ),
    _of_groups(
        "groups of one name in two workflows have lines of their own",
        "workflow/draft",
        "    if not reading.depth and not apart:\n        return policy\n    workflow, *around",
        "    if True:\n        return policy\n    workflow, *around",
    ),
    _of_late_keys(
        "a task makes the key of a node that is due",
        "execution/rules/limits/node_turns",
        "    if plan.policy(position).keys_to_make(record.keys) is not None:\n        return dispatch(",
        "    if False:\n        return dispatch(",
    ),
    _of_late_keys(
        "the task that makes a key is the first of the same try",
        "execution/rules/limits/node_turns",
        "MadeKeys(made.turn, made.pace, ended.dispatch)",
        "MadeKeys(made.turn, made.pace)",
    ),
    _of_late_keys(
        "the time of tries and iterations begins with the first call, not with the key",
        "execution/rules/limits/node_turns",
        "    if ended.tried <= 1:\n",
        "    if False:\n",
    ),
    _of_late_keys(
        "the time of the call is not that of the task that makes the key",
        "execution/rules/limits/node_turns",
        "    if made:\n",
        "    if False:\n",
    ),
    _of_late_keys(
        "a key is made on a thread, whatever its node's handler needs",
        "execution/rules/dispatching",
        "policy.map is None and message.keys is None",
        "policy.map is None",
    ),
    _of_late_keys(
        "one whose key is made in a pause joins no line",
        "execution/rules/finishing",
        "        at_once=grounds.dispatches,\n",
        "        at_once=True,\n",
    ),
    _of_late_keys(
        "one that is being stopped joins no line",
        "execution/rules/finishing",
        "            return _line_up(report, made) if control.stop is None else _cancel(report)",
        "            return _line_up(report, made)",
    ),
    _of_keys(
        "a node stands under the key that was made",
        "execution/limits/lines",
        "key = limit.key if made is None or made.turn is None else made.turn",
        "key = limit.key",
    ),
    _of_keys(
        "a node waits to start under the key that was made",
        "execution/limits/lines",
        "key = limit.key if made is None or made.pace is None else made.pace",
        "key = limit.key",
    ),
    _of_keys(
        "another run makes the keys of limits anew",
        "execution/rules/starting",
        "    return before.keys if goes_on and before.child is not None else None\n",
        "    return before.keys\n",
    ),
    _of_keys(
        "a node whose key was made at the trigger asks its condition",
        "execution/rules/dispatching",
        "(queued.keys is not None and queued.keys.asked)",
        "queued.keys is not None",
    ),
    Mutant(
        "a child that was let in before waits",
        "flowengine/engine/advancing/steps/child_making.py",
        "refuses=record is None",
        "refuses=True",
        CALLS,
    ),
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
        "control is None or not waits(member, line, control, node):",
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
        '            *[("EXPIREAT", name, at) for name, at in ends.items() if name not in numbers],\n',
        "",
    ),
    _in(
        "what is withdrawn leaves no numbers",
        "store/committing/encode_changes",
        '("DEL", *numbers, *[',
        '("DEL", *[',
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
    _of_nodes(
        "a node with a limit joins its line in place of being put in flight",
        "execution/rules/descent",
        "        if position in plan.limited:\n",
        "        if False:\n",
    ),
    _of_nodes(
        "what has left a line since it was read is no stranger there",
        "engine/limits/line_step",
        "        if self._store.lines.place(line, member)[0] is None:\n",
        "        if False:\n",
    ),
    _of_nodes(
        "a report frees the place of its node",
        "execution/rules/finishing",
        "grounds, (*forget, *left))",
        "grounds, forget)",
    ),
    _of_nodes(
        "what a stop ends leaves its line",
        "execution/rules/stopping",
        "    dropped += leave_turn(execution, node, record, now)\n",
        "",
    ),
    _of_nodes(
        "what an operator ends leaves its line",
        "execution/rules/steering/overruling",
        "        *leave_turn(run.execution, node.id, before, now),\n",
        "",
    ),
    _of_nodes(
        "another try waits for its turn again",
        "execution/rules/limits/node_turns",
        "policy.keys_to_make(record.keys) is not None:\n        return go_on(",
        "True:\n        return go_on(",
    ),
    _of_nodes(
        "the end of a pause is nothing to one that waits for its turn",
        "execution/rules/waits/waiting_timer",
        "    if record.in_line or not may(",
        "    if not may(",
    ),
    _of_nodes(
        "one whose execution is paused steps aside",
        "engine/limits/standers",
        "goes_on = control.lets_dispatch or node_turns.steps_aside(control)",
        "goes_on = control.lets_dispatch",
    ),
    _of_nodes(
        "a task that is sent again keeps its place",
        "execution/rules/dispatching",
        "        turn=record.turn,\n",
        '        turn=None if step == "dispatch_again" else record.turn,\n',
    ),
    _of_nodes(
        "one message of a transaction speaks of a line",
        "store/committing/encode_changes",
        "                    self._lines_told.add(message.line)\n",
        "                    self._lines_told.discard(message.line)\n",
    ),
    _of_starts(
        "no more start in a window than may",
        "execution/limits/starts",
        "    if len(recent) < pace.limit:\n",
        "    if len(recent) <= pace.limit:\n",
    ),
    _of_starts(
        "those that start at once count for one another",
        "engine/limits/start_step",
        "            starts = with_expected(starts)\n",
        "",
    ),
    _of_starts(
        "a start that is on its way counts as to come",
        "store/limits/line_commands",
        '("ZADD", key, EXPECTED_AT, change.member)',
        '("ZADD", key, change.now, change.member)',
    ),
    _of_starts(
        "the starts of a line are WATCHed",
        "store/committing/transaction",
        "        watched.append(starts)\n",
        "",
    ),
    _of_starts(
        "the earliest of what is told of a start counts",
        "store/limits/line_commands",
        '"XX", "LT", at, member',
        '"XX", at, member',
    ),
    _of_starts(
        "a service that is called too often holds its key",
        "execution/rules/limits/node_turns",
        "    return (HoldStarts(pace.line, now + min(wait_ms, MAX_HOLD_MS)),)",
        "    return ()",
    ),
    _of_starts(
        "an hour is the longest that a service holds a key",
        "execution/rules/limits/node_turns",
        "now + min(wait_ms, MAX_HOLD_MS)",
        "now + wait_ms",
    ),
    _of_starts(
        "a line comes back when its next one may start",
        "engine/limits/start_step",
        "changes[member.execution] += [timer, *self._lost",
        "changes[member.execution] += [*self._lost",
    ),
    _of_caches(
        "a node that a rerun resets calls its handler",
        "engine/running/outcomes",
        "        if task.fresh:\n            return None\n",
        "",
    ),
    _of_caches(
        "a task that is sent again knows that its node was reset by a rerun",
        "execution/rules/dispatching",
        "        cached=record.cached,\n",
        "",
    ),
    _of_caches(
        "only what has completed is kept for other times",
        "engine/running/runner",
        " or not isinstance(outcome, Completed) or outcome.cached:",
        ":",
    ),
    _of_caches(
        "each iteration has an entry of its own",
        "engine/running/caching/entry_keys",
        "        owner.append(task.repeated.number)\n",
        "        pass\n",
    ),
    _of_caches(
        "an iteration that was kept is followed by what follows from it",
        "engine/running/outcomes",
        "        if task.repeat is None:\n            return Completed(msgspec.Raw(result), cached=True)\n",
        "        return Completed(msgspec.Raw(result), cached=True)\n",
    ),
    _of_caches(
        "what an iteration gave is kept, and not what follows from it",
        "engine/running/outcomes",
        "            call.keeps.given = result\n",
        "            pass\n",
    ),
    _of_caches(
        "no secret is a part of what is the same",
        "engine/running/caching/entry_keys",
        "named = replace(scope, secrets=_named)",
        "named = scope",
    ),
    _of_caches(
        "an entry belongs to one node of one workflow",
        "engine/running/caching/entry_keys",
        "[owner, handler.name,",
        "[handler.name,",
    ),
    _of_caches(
        "what is made for a node that a rerun resets is fresh",
        "engine/advancing/steps/child_making",
        "opened.node.cached is False or (above is not None and above.fresh)",
        "False",
    ),
    _of_caches(
        "a fork is given nothing that was kept",
        "execution/rules/starting",
        'self.step == "rerun" or self.copied or self.fresh',
        'self.step == "rerun" or self.fresh',
    ),
    _of_caches(
        "a child that goes on for a rerun is given nothing that was kept",
        "engine/advancing/steps/child_step",
        "            fresh=look.node.cached is False,\n",
        "",
    ),
    _of_caches(
        "a posted document has no entry of an applied one",
        "engine/running/caching/entry_keys",
        '["applied" if applied else "posted", said.owner]',
        "[said.owner]",
    ),
    _of_caches(
        "what reads a secret input has no entry",
        "engine/running/caching/entry_keys",
        "    if _reads_secret_input(task, given):\n        return None\n",
        "",
    ),
    _of_caches(
        "nothing is kept where new work would be refused",
        "store/worker_state",
        "if not kept or not self._room.has_room(sum(len(each.result) for each in kept)):",
        "if not kept:",
    ),
)
