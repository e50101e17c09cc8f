"""Rules of nodes that run as child executions."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

GROUP_MAPS: Final = ("tests/integration/engine/test_engine_group_maps.py",)
ITEMS_APART: Final = ("tests/integration/engine/test_engine_items_apart.py",)
ITERATIONS_APART: Final = (
    "tests/unit/workflow/test_iterations_apart.py",
    "tests/integration/repeating/test_engine_iterations_apart.py",
)
GROUPS: Final = ("tests/integration/engine/test_engine_groups.py",)
CALL_RACES: Final = ("tests/integration/engine/test_engine_call_races.py",)
CALLS: Final = ("tests/integration/engine/test_engine_calls.py", *CALL_RACES)
CRASHES: Final = ("tests/integration/engine/test_engine_group_races.py",)


def _in(rule: str, path: str, old: str, new: str, tests: tuple[str, ...] = GROUPS) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, tests)


MUTANTS: Final = (
    Mutant(
        "an iteration that runs a definition is an execution of its own",
        "flowengine/workflow/repeating/iterations_apart.py",
        "fields.waits is not None or fields.calls is not None",
        "fields.waits is not None",
        ("tests/unit/workflow/test_calls.py",),
    ),
    _in(
        "the items of a map that is opened again wait for the next run of their children",
        "execution/rules/maps/opening",
        "children = replace(children, run=children.run + 1)",
        "pass",
        GROUP_MAPS,
    ),
    _in(
        "an item that runs apart counts to no depth",
        "engine/advancing/steps/child_making",
        "lineage = replace(lineage, sole=True, depth=lineage.depth - 1)",
        "lineage = replace(lineage, sole=True)",
        ITEMS_APART,
    ),
    _in(
        "an item that runs apart may be made at any depth",
        "engine/advancing/steps/child_making",
        "deepens = group is None or not group.sole",
        "deepens = True",
        ITEMS_APART,
    ),
    _in(
        "an item that runs apart fails with the error of its node",
        "execution/rules/children/ending",
        "if plan.lineage is not None and plan.lineage.sole and error is not None and stop is None:",
        "if False:",
        ITEMS_APART,
    ),
    _in(
        "an item that runs apart gives what its node gives",
        "engine/advancing/steps/child_step",
        "        if lineage is not None and lineage.sole:\n",
        "        if False:\n",
        ITEMS_APART,
    ),
    _in(
        "a group whose outputs are not what its schema says fails as any node does",
        "execution/rules/children/ending",
        "    if invalid is not None:\n",
        "    if False:\n",
    ),
    _in(
        "what gives the outputs of a definition is checked by the schema of its node",
        "engine/advancing/steps/child_making",
        "        if schema is not None:\n            own = _checked",
        "        if False:\n            own = _checked",
        CALLS,
    ),
    _in(
        "an end of a definition is checked by the schema of the node that runs this",
        "engine/advancing/steps/child_making",
        "if policy.gives_outputs or position in",
        "if position in",
        CALLS,
    ),
    _in(
        "an end is checked by its own schema beside that of the node which runs its definition",
        "workflow/inputs/subschemas",
        "    if first is None:\n        return second\n",
        "    return second\n",
        CALLS,
    ),
    _in(
        "a definition without outputs is not run where a schema says what they are",
        "engine/running/calling",
        "    elif not found.plan.stages.outputs:\n",
        "    elif False:\n",
        CALLS,
    ),
    _in(
        "what nobody waits for is not begun where a schema says what it gives",
        "engine/running/calling",
        "    if not waits:\n",
        "    if False:\n",
        CALLS,
    ),
    _in(
        "what gives the outputs of a group is checked by its schema",
        "workflow/draft",
        "    if not gives_outputs(node.work):\n        return node\n    whole",
        "    if True:\n        return node\n    whole",
    ),
    _in(
        "an item that runs apart and waits is shown so",
        "engine/map_items",
        "    if group is None or not group.sole:\n",
        "    if True:\n",
        ITEMS_APART,
    ),
    _in(
        "a node is shown to wait while its iteration does, which runs apart",
        "engine/queries",
        "    if not apart or view.status",
        "    if True or view.status",
        ITERATIONS_APART,
    ),
    _in(
        "a worker is asked whether a group is tried again",
        "execution/rules/finishing",
        "    if isinstance(again, Pause) and is_to_be_asked(policy, callback, failed):\n",
        "    if False:\n",
    ),
    _in(
        "to ask whether a group is tried again is no try",
        "execution/rules/dispatching",
        "    queued = replace(queued, tried=record.tried, asks=record.asks, started_at=record.started_at)\n",
        "    queued = replace(queued, asks=record.asks, started_at=record.started_at)\n",
    ),
    _in(
        "what was to be asked in a pause is asked afterwards",
        "execution/rules/dispatching",
        "    if record.asks is not None:\n        return ask(",
        "    if False:\n        return ask(",
    ),
    _in(
        "an iteration that runs apart gives all that its node gives",
        "engine/advancing/steps/child_step",
        "        if lineage is not None and lineage.sole and lineage.item is None:\n",
        "        if False:\n",
        ITERATIONS_APART,
    ),
    _in(
        "what repeats apart calls no handler to begin or to be judged",
        "execution/rules/dispatching",
        "handler=task.handler if policy.group is None or policy.map is not None else GROUP,",
        "handler=task.handler,",
        ITERATIONS_APART,
    ),
    _in(
        "an iteration that an operator skips gives nothing",
        "execution/rules/children/ending",
        "    result = b'{\"result\":null}' if output is None else output\n",
        "    result = output or b'{}'\n",
        ITERATIONS_APART,
    ),
    _in(
        "an answer for another iteration is refused",
        "engine/commands/answering/addressing",
        "if loop.number != wanted:",
        "if False:",
        ("tests/integration/waits/test_engine_addresses.py",),
    ),
    _in(
        "an answer that picks what there is not several of is refused",
        "engine/commands/answering/addressing",
        "if holder.left.item is not None:",
        "if False:",
        ("tests/integration/waits/test_engine_addresses.py",),
    ),
    _in(
        "no item is begun before its turn",
        "engine/advancing/steps/child_step",
        'self.deed = "nothing"',
        "pass",
        GROUP_MAPS,
    ),
    _in(
        "a resume has the children of items made that could not be made before",
        "execution/rules/steering/pausing",
        "return [*sends, tend_items(run)] if of_items else list(sends)",
        "return list(sends)",
        GROUP_MAPS,
    ),
    _in(
        "an operator who ends a map has its children stopped",
        "execution/rules/steering/overruling",
        "return (tend_items(run), *drop_time(execution, node, before))",
        "return ()",
        GROUP_MAPS,
    ),
    _in(
        "what is begun apart is begun once",
        "execution/rules/children/tending",
        "if awaited.run == 0 or parent.stop is not None:",
        "if parent.stop is not None:",
        CALLS,
    ),
    _in(
        "a child of a definition keeps what it began with",
        "execution/rules/dispatching",
        "return policy.calls is not None and queued.child is not None",
        "return False",
        CALLS,
    ),
    _in(
        "what could not be made is prepared anew",
        "execution/rules/finishing",
        "        ended = replace(ended, child=None)\n",
        "        pass\n",
        CALLS,
    ),
    _in(
        "executions stand eight deep at most",
        "engine/advancing/steps/child_making",
        "if lineage is not None and deepens and lineage.depth >= MAX_DEPTH:",
        "if lineage is not None and deepens and lineage.depth > MAX_DEPTH:",
        CALLS,
    ),
    _in(
        "a child waits for no turn that one above it has",
        "engine/advancing/steps/child_making",
        "stands_in(each.control, each.run, place.line) for each in self._above(plan.lineage)",
        "False for each in self._above(plan.lineage)",
        CALL_RACES,
    ),
    _in(
        "a child that is cancelled before its turn ends its node",
        "execution/rules/stopping",
        "    above = () if lineage is None else (",
        "    above = () if True else (",
        CALL_RACES,
    ),
    _in(
        "a child whose turn comes is held with its root",
        "execution/rules/limits/queueing",
        "        changes.append(tend_parent(plan.lineage, run.execution, run.run, run.correlation_id))\n",
        "        pass\n",
        CALL_RACES,
    ),
    _in(
        "a key for some definitions runs no others by a template",
        "engine/running/calling",
        "if root is None or covers(root.allowed, name):",
        "if True:",
        CALL_RACES,
    ),
    _in(
        "who asks for another run is who it runs definitions for",
        "execution/rules/starting",
        "        allowed=again.allowed,\n",
        "",
        CALL_RACES,
    ),
    _in(
        "a key for all takes away what a run was for",
        "store/committing/encode_changes",
        "if change.run > 1 and change.allowed == () and not change.copied:",
        "if False:",
        CALL_RACES,
    ),
    _in(
        "a secret goes only into an input that is secret",
        "engine/running/calling",
        "if (known is None or not known.secret) and reads_secret(value, secret):",
        "if False:",
        CALL_RACES,
    ),
    _in(
        "an open node is ended by its child alone",
        "execution/rules/finishing",
        "if stands_for_child != (type(callback.by) is ByChild) and not is_final(record.status):",
        "if False:",
        CRASHES,
    ),
    _in(
        "the end of a child's earlier run ends nothing",
        "execution/rules/children/tending",
        "    if child.run < run:\n        return _of_earlier_run(parent, child, stops=stops)\n",
        "",
    ),
    _in(
        "a child whose node is stopped before it was made is not made",
        "execution/rules/children/tending",
        '        if stops:\n            return "report"\n        return "make"',
        '        return "make"',
        CRASHES,
    ),
    _in(
        "nothing is made while the parent is paused",
        "execution/rules/children/tending",
        '        return "make" if parent.lets_dispatch else "nothing"\n    if child.run',
        '        return "make"\n    if child.run',
        CRASHES,
    ),
    _in(
        "a child that nobody waits for is stopped",
        "execution/rules/children/tending",
        '        return "keep"\n    return "nothing" if child.stop is not None else "stop"\n',
        '        return "keep"\n    return "nothing"\n',
    ),
    _in(
        "a child that nobody waits for has nothing looked at while its root goes on",
        "engine/advancing/steps/child_step",
        "if lineage is None or not self._is_over(lineage.root):",
        "if lineage is None:",
        ("tests/integration/engine/test_engine_group_maps.py",),
    ),
    _in(
        "what stops an execution stops its children",
        "execution/rules/stopping",
        "        return tend_open(execution, node, record, run.correlation_id)\n",
        "        return ()\n",
    ),
    _in(
        "a pause reaches the children",
        "execution/rules/steering/pausing",
        "*((Send(message),) if nests else ()),",
        "",
    ),
    _in(
        "a resume reaches the children",
        "engine/advancing/steps/resume_step",
        "self._arm(run, [*again, *children_again(run, records_of(stored), names)])",
        "self._arm(run, again)",
    ),
    _in(
        "the last transaction of a child ends its node",
        "execution/rules/concluding",
        "        return (above, *tell_followers(run, control, now))\n",
        "        return tell_followers(run, control, now)\n",
    ),
    _in(
        "a trigger goes on with the old child",
        "execution/rules/starting",
        "child=before.child if goes_on and not has_exhausted(before) else None,",
        "child=None,",
    ),
    _in(
        "a group below what is reset begins anew",
        "execution/rules/steering/rerunning",
        " and not any(at in touched for at in above)",
        "",
        CRASHES,
    ),
    _in(
        "the end of the root lets its children expire",
        "execution/rules/concluding",
        "return (*keep_children(plan, run), *(deliver(run, now)",
        "return (*(deliver(run, now)",
    ),
    _in(
        "the next run of the root lets its children stay",
        "execution/rules/starting",
        "kept = keep_children(plan, Run(execution, run, record.correlation_id))",
        "kept = keep_children(plan, Run(execution, run, record.correlation_id))[:0]",
    ),
    _in(
        "children go with their root",
        "store/state",
        "        self._remove_children(execution)\n",
        "",
    ),
    _in(
        "a child is in no list",
        "store/committing/encode_changes",
        "        if is_child(execution):\n            if is_over(status):",
        "        if False:\n            if is_over(status):",
    ),
    _in(
        "what had not ended when a group began stays undefined in it",
        "execution/rules/dispatching",
        "return outer if not unseen else tuple([each for each in outer if each.node not in unseen])",
        "return outer",
        CRASHES,
    ),
    _in(
        "a node that repeats and waits runs its iterations apart",
        "workflow/node_lists",
        "iterations_apart(items_apart(_with_signals(node, whole)))",
        "items_apart(_with_signals(node, whole))",
        ITERATIONS_APART,
    ),
    _in(
        "the condition of a node is asked once, and not of each iteration that runs apart",
        "workflow/repeating/iterations_apart",
        "when=None, tolerates=False, repeat=None)",
        "tolerates=False, repeat=None)",
        ITERATIONS_APART,
    ),
)
