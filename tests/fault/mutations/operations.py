"""Rules of what operators do: what a retry of a dead letter does, and does not do twice."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

LETTERS: Final = ("tests/integration/engine/test_dead_letters.py",)
STORED: Final = "flowengine/store/operations/dead_letters.py"

STATS: Final = ("tests/integration/engine/test_stats.py",)
METRICS: Final = ("tests/integration/engine/test_metrics.py",)

MUTANTS: Final = (
    Mutant(
        "an end is counted in the transaction that makes it",
        "flowengine/store/committing/encode_changes.py",
        "self.commands += self._lifetimes.ended.commands(",
        "self._lifetimes.ended.commands(",
        STATS,
    ),
    Mutant(
        "what is decided is counted once it is written",
        "flowengine/store/committing/encode_changes.py",
        "            self._told.append((execution, events))\n",
        "            count_decided([(execution, events)], self._lifetimes.plan)\n",
        METRICS,
    ),
    Mutant(
        "a dead letter goes in the transaction that triggers its execution",
        "flowengine/store/api_state.py",
        "        if acknowledge is not None:\n            acknowledge(commands)\n",
        "",
        LETTERS,
    ),
    Mutant(
        "a dead letter triggers no newer run",
        "flowengine/engine/commands/trigger.py",
        "if repeated is not None and record.run > repeated.run:",
        "if False:",
        LETTERS,
    ),
    Mutant(
        "a message leaves the dead letters when it moves back",
        STORED,
        '                ("XDEL", key, entry),\n',
        "",
        LETTERS,
    ),
    Mutant(
        "only a task whose node has failed is triggered again",
        "flowengine/engine/commands/retry_letter.py",
        'letter.reason == "exhausted" and ',
        "",
        LETTERS,
    ),
)
