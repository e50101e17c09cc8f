"""Rules of chains: whom an end starts, and what an apply of documents that follow each other writes."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

STORED: Final = ("tests/integration/chains/test_chains.py",)
CUTS: Final = ("tests/integration/chains/test_chain_cuts.py",)
TRIGGERS: Final = ("tests/integration/chains/test_triggers.py",)
DOCUMENTS: Final = ("tests/unit/workflow/test_chains.py",)


def _in(rule: str, path: str, old: str, new: str, tests: tuple[str, ...] = STORED) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, tests)


MUTANTS: Final = (
    _in(
        "an end tells those that follow",
        "execution/rules/concluding",
        "*tell_followers(run, control, now))\n    if control.doomed",
        ")\n    if control.doomed",
    ),
    _in(
        "so does the end of a child",
        "execution/rules/concluding",
        "return (above, *tell_followers(run, control, now))",
        "return (above,)",
    ),
    _in(
        "a cancel before the turn is an end",
        "execution/rules/stopping",
        "        *tell_followers(run, record.control, stop.at),\n",
        "",
    ),
    _in(
        "a fork that cannot be made is an end",
        "execution/rules/steering/forking",
        '    return (MarkStop("pending", stop), end, *tell_followers(run, control, now))\n',
        '    return (MarkStop("pending", stop), end)\n',
    ),
    _in(
        "an apply writes links that are missing",
        "engine/definitions/definitions",
        "decided.changes_nothing and ties and previous",
        "decided.changes_nothing and previous",
    ),
    _in(
        "what an end has given is kept with what it starts",
        "store/committing/encode_changes",
        '            self.commands.append(("HSET", given, keys.OUTPUTS, change.outputs))\n',
        "            pass\n",
        TRIGGERS,
    ),
    _in(
        "it stays there when what it starts begins",
        "engine/commands/create",
        "had_inputs=new.outputs is not None",
        "had_inputs=False",
        TRIGGERS,
    ),
    _in(
        "a fork takes over what has started its origin",
        "engine/forking/fork",
        "        outputs=made.outputs,\n",
        "",
        TRIGGERS,
    ),
    _in(
        "a key for some definitions sees no others that follow",
        "engine/queries",
        "            if covers(patterns, one.name)\n",
        "",
        TRIGGERS,
    ),
    _in(
        "only executions of definitions are followed",
        "execution/chains/rules",
        "    if control.version is None or control.doomed:\n",
        "    if control.doomed:\n",
        ("tests/unit/execution/test_chain_rules.py",),
    ),
    _in(
        "a timer sees to what a message has lost",
        "execution/chains/rules",
        "(Send(message), ArmTimer(message, now + SENT_AGAIN_MS))",
        "(Send(message),)",
    ),
    _in(
        "the end of an earlier run starts nothing",
        "execution/chains/rules",
        "record.run == run and is_over(record.status)",
        "is_over(record.status)",
        ("tests/unit/execution/test_chain_rules.py",),
    ),
    _in(
        "what an end has started is kept over reruns",
        "execution/chains/rules",
        "(one.run == record.run or (one.execution is not None and record.status in one.statuses))",
        "one.run == record.run",
    ),
    _in(
        "a refusal holds for its run only",
        "execution/chains/rules",
        "one.execution is not None and record.status in one.statuses",
        "record.status in one.statuses",
        ("tests/unit/execution/test_chain_rules.py",),
    ),
    _in(
        "the start is noted in the transaction that makes it",
        "engine/chains/chain_step",
        "{ended.execution: [note], **created}",
        "{**created}",
    ),
    _in(
        "it is acknowledged after the last one has started",
        "engine/chains/chain_step",
        "            due = self._start(held)\n",
        "            self._chains.settle(held.payload, None, held.acknowledge)\n"
        "            due = self._start(held)\n",
        CUTS,
    ),
    _in(
        "a circle is looked for in all that is applied",
        "engine/definitions/definitions",
        "    way = endless(name, leads)\n",
        "    way = endless(name, lambda names: {each: () for each in names})\n",
    ),
    _in(
        "an apply WATCHes what ties definitions",
        "store/definitions/redis_definitions",
        "self._session.watch_more([key], reads",
        "self._session.watch_more([self._keys.definition(self._name)], reads",
    ),
    _in(
        "a deleted definition follows nothing",
        "store/definitions/redis_definitions",
        "        commands += self._linking(NO_LINKS)\n",
        "",
    ),
    _in(
        "so many ends at most lead to one another",
        "engine/chains/chain_step",
        "if ended.links >= MAX_LINKS:",
        "if ended.links > 2 * MAX_LINKS:",
    ),
    _in(
        "what follows may reach no more than what it follows",
        "engine/commands/create",
        "acting_patterns() or new.allowed",
        "acting_patterns()",
    ),
    _in(
        "an end is noted only while its run is the last one",
        "engine/chains/chain_step",
        "if record is None or not is_ended(record, ended.record.run) or is_decided(record, name):",
        "if record is None or is_decided(record, name):",
    ),
    _in(
        "a workflow cannot follow itself",
        "workflow/chains/reading",
        "elif found == self._own:",
        "elif found == self:",
        DOCUMENTS,
    ),
)
