"""Rules of maps: what is sent, what counts, how a map ends, and what a later run does."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

MAPS: Final = ("tests/unit/rules/test_maps.py", "tests/integration/engine/test_engine_maps.py")

CHILDREN: Final = ("tests/unit/rules/test_maps.py", "tests/integration/engine/test_engine_group_maps.py")

ITEMS: Final = (
    "tests/unit/rules/test_choosing_items.py",
    "tests/integration/engine/test_engine_items.py",
)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, MAPS)


def _items(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, ITEMS)


def _children(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, CHILDREN)


MACHINE: Final = ("tests/property/test_map_machine.py",)


def _of_any_order(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, MACHINE)


def _rule(rule: str, module: str, old: str, new: str) -> Mutant:
    return _in(rule, f"execution/rules/maps/{module}", old, new)


MUTANTS: Final = (
    _of_any_order(
        "a report of an item counts in its own dispatch of the map",
        "execution/rules/maps/reporting",
        "return is_open(record.status) and record.dispatch == dispatch",
        "return is_open(record.status)",
    ),
    _of_any_order(
        "a resume looks at the items of open maps",
        "engine/advancing/steps/resume_step",
        "for name in [name for name, found in stored.items() if is_open_map(found)]:",
        "for name in [name for name, found in stored.items() if False and is_open_map(found)]:",
    ),
    _rule(
        "nothing more starts once the time of a map is over",
        "progress",
        "starts_nothing_more(record, far) or record.is_over(now)",
        "starts_nothing_more(record, far)",
    ),
    _rule(
        "the timer of a map fires once whatever runs is noted",
        "time_over",
        "said.until + ENDED_MS",
        "said.until",
    ),
    _rule(
        "the timer of a map goes with its end",
        "time_over",
        "    return (DropTimer(time_of_map(execution, node, before)),)\n",
        "    return ()\n",
    ),
    _in(
        "a map whose time is over waits for what runs",
        "engine/advancing/steps/map_step",
        "if self._store.has_items_begun(timer.execution, timer.node, record.dispatch):",
        "if False:",
    ),
    _in(
        "a map whose time is over waits for its reports",
        "store/map_reads",
        '(b"-")[0]) < before for',
        '(b"-")[0]) < 0 for',
    ),
    _children(
        "nodes of a group read a map outside",
        "store/worker_state",
        "if each.is_map and each.is_read]",
        "if False]",
    ),
    _children(
        "the time of a map stops its children",
        "execution/rules/children/tending",
        "    stops = over or parent.stop is not None\n",
        "    stops = parent.stop is not None\n",
    ),
    _children(
        "no child is made by one who had looked before the time was over",
        "execution/rules/maps/time_over",
        "    marked = () if said.over else (Write(node, replace(record, map=replace(said, over=True))),)\n",
        "    marked: tuple[Change, ...] = ()\n",
    ),
    _children(
        "an item fails for the time of its map only if its child was stopped by then",
        "execution/rules/children/ending",
        "    if until and stop is not None and stop.at >= until:\n",
        "    if until and stop is not None:\n",
    ),
    _children(
        "a map that begins again has its time again",
        "execution/rules/maps/opening",
        "        over=False,\n",
        "        over=record.over,\n",
    ),
    _children(
        "children of an overruled map are stopped though another run has begun",
        "execution/rules/starting",
        "keeps_starts=plan.nests and any(",
        "keeps_starts=False and any(",
    ),
    _rule(
        "no item is tried again once the time of its map is over",
        "reporting",
        "said.is_over(found.until)",
        "said.is_over(report.now)",
    ),
    _rule(
        "a map whose time is over has failed, though what has ended may be tolerated",
        "ending",
        "if far.failed + map_record.out <= map_record.tolerated and all_ended and not cut:",
        "if far.failed + map_record.out <= map_record.tolerated and all_ended:",
    ),
    _rule(
        "no more items are in flight than may be",
        "progress",
        "min(to_run, far.ended + window) - far.sent",
        "min(to_run, far.ended + window + 1) - far.sent",
    ),
    _rule(
        "more items are in flight at once that need no thread",
        "progress",
        "WAITING_WINDOW if waits and record.children is None else WINDOW",
        "WINDOW",
    ),
    _rule(
        "items that run as children have no wider window",
        "progress",
        "WAITING_WINDOW if waits and record.children is None else WINDOW",
        "WAITING_WINDOW if waits else WINDOW",
    ),
    _rule(
        "as many items are in flight as may be",
        "progress",
        "if not record.at_once and not fills and in_flight > window // 2:",
        "if not fills and in_flight > window // 2:",
    ),
    _in(
        "who has begun to fill the window sends until it is full",
        "engine/advancing/steps/map_step",
        "fills = True",
        "fills = False",
    ),
    _rule(
        "nothing more starts once too many items have failed",
        "progress",
        'return 0 if in_flight > 0 else "end"',
        "return 0 if in_flight > 0 else max(0, min(to_run, far.ended + 1) - far.sent)",
    ),
    _rule(
        "a map ends when what runs has ended",
        "progress",
        'return 0 if in_flight > 0 else "end"',
        'return "end"',
    ),
    _rule(
        "what had completed before a run does not count in it",
        "progress",
        "ended - record.kept",
        "ended",
    ),
    _rule(
        "a share of items is rounded down",
        "ending",
        "if far.failed + map_record.out <= map_record.tolerated and all_ended and not cut:",
        "if far.failed + map_record.out < map_record.tolerated and all_ended and not cut:",
    ),
    _rule(
        "a failure that was noted too late is none",
        "ending",
        'if record.status == "failed"]',
        "if record.status]",
    ),
    _rule(
        "an item ends once",
        "reporting",
        'if known.ended:\n        return ItemDecision("repeated", forget)\n',
        "",
    ),
    _rule(
        "an item that waits for its next try is not ended by a report of the last one",
        "reporting",
        'before.dispatch != item.number or before.status == "waiting"',
        "before.dispatch != item.number",
    ),
    _rule(
        "another try of an item has a key of its own after an answered failure",
        "reporting",
        "answered=item.answered + answered,",
        "answered=item.answered,",
    ),
    _in(
        "the items of a closed map are stale",
        "execution/rules/maps/reporting",
        "if not awaits_items(record, callback.dispatch) or not takes_reports(control.status):",
        "if not takes_reports(control.status):",
    ),
    _in(
        "a report of an open map's own task changes nothing",
        "execution/rules/finishing",
        "if is_open_map(record) and not isinstance(callback.outcome, ItemsEnded):",
        "if False:",
    ),
    _in(
        "a failed map keeps its list",
        "execution/rules/steering/rerunning",
        'named or record.status in ("failed", "cancelled")',
        'named or record.status in ("completed",)',
    ),
    _in(
        "all items run where something above a map does",
        "execution/rules/steering/rerunning",
        "    return not any(parent in touched for parent in plan.nodes[position].parents)\n",
        "    return True\n",
    ),
    _in(
        "sending WATCHes how many have been sent",
        "store/committing/transaction",
        "        name = names.map(execution, node)\n        watched.append(name)\n",
        "        name = names.map(execution, node)\n",
    ),
    _in(
        "a paused map sends nothing",
        "engine/advancing/steps/map_step",
        "if not what or not control.lets_dispatch:",
        "if not what:",
    ),
    _in(
        "a resume looks at open maps",
        "engine/advancing/steps/resume_step",
        "            self._look(run, name)\n",
        "            pass\n",
    ),
    _in(
        "a stop waits for the items that run",
        "engine/advancing/steps/stop_step",
        "in unit.begun or name in running",
        "in unit.begun",
    ),
    _in(
        "the failure of an item is noted with its end",
        "store/committing/map_commands",
        'if change.record.status == "failed":',
        "if False:",
    ),
    _items(
        "exactly the named items run",
        "execution/rules/maps/choosing",
        "    chosen = named | unfinished if with_unfinished else named\n",
        "    chosen = named | unfinished\n",
    ),
    _items(
        "what has completed is another call when it runs again",
        "execution/rules/maps/choosing",
        "item.answered + (not item.has_failed)",
        "item.answered",
    ),
    _items(
        "what had failed keeps nothing from running again",
        "execution/rules/maps/progress",
        "max(record.tolerated - record.out, record.stays)",
        "record.tolerated",
    ),
    _items(
        "a map does not complete without items that did not run",
        "execution/rules/maps/ending",
        "if far.failed + map_record.out <= map_record.tolerated and all_ended and not cut:",
        "if far.failed <= map_record.tolerated and all_ended and not cut:",
    ),
    _items(
        "what stays failed is known as failed",
        "store/committing/map_commands",
        '    yield ("DEL", todo)\n',
        '    yield ("DEL", todo, sent)\n',
    ),
    _items(
        "results that go count no more",
        "execution/rules/starting",
        "                freed += chosen.freed\n",
        "",
    ),
    _items(
        "results of a stopped map that begins anew count no more",
        "execution/rules/starting",
        "                freed += again.of_items.get(node.id, 0)\n",
        "",
    ),
    _items(
        "an item that is not named again before it has run keeps its number",
        "execution/rules/maps/choosing",
        "stays, len(out), freed, resting)",
        "stays, len(out), freed)",
    ),
    _in(
        "an item that was stopped between its tries is another call when it runs again",
        "store/map_reads",
        "{**listed, **tried}",
        "listed",
    ),
    _items(
        "a worker runs what a rerun has listed",
        "store/map_reads",
        "    if record.chosen:\n",
        "    if False:\n",
    ),
    _items(
        "a map whose items cannot be chosen is refused",
        "execution/rules/steering/rerunning",
        "        elif position not in rerun.keeps:\n",
        "        elif False:\n",
    ),
    _items(
        "a fork copies a map of which some items run",
        "execution/rules/steering/forking",
        "    return sorted([*rerun.reused(plan), *rerun.keeps])\n",
        "    return sorted(rerun.reused(plan))\n",
    ),
)
