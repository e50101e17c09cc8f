"""Rules of inputs: what is checked before anything is written, what stays, and what is hidden."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

LABELS: Final = ("tests/unit/engine/test_execution_labels.py",)
STORED: Final = ("tests/unit/engine/test_execution_inputs.py",)
VALUES: Final = ("tests/unit/workflow/test_input_values.py",)
DECLARED: Final = ("tests/unit/workflow/test_inputs.py",)
VARS: Final = ("tests/unit/workflow/test_vars.py",)
CONDITIONS: Final = ("tests/integration/engine/test_engine_inputs.py",)
READ: Final = ("tests/unit/engine/test_runner_inputs.py",)

MUTANTS: Final = (
    Mutant(
        "a trigger again takes no other inputs",
        "flowengine/engine/commands/trigger.py",
        "        if brought.inputs or brought.labels:\n",
        "        if brought.labels:\n",
        STORED,
    ),
    Mutant(
        "a trigger again takes no other labels",
        "flowengine/engine/commands/trigger.py",
        "        if brought.inputs or brought.labels:\n",
        "        if brought.inputs:\n",
        LABELS,
    ),
    Mutant(
        "the labels of a trigger count with those that there are",
        "flowengine/workflow/labels.py",
        "    if len(found) > MAX_LABELS:\n",
        "    if len(given) > MAX_LABELS:\n",
        LABELS,
    ),
    Mutant(
        "the labels of a trigger are in its transaction",
        "flowengine/execution/rules/starting.py",
        "return [begin, *labelled, *decided,",
        "return [begin, *decided,",
        LABELS,
    ),
    Mutant(
        "a start that cannot begin stores nothing",
        "flowengine/engine/commands/create.py",
        "        record = record_before(new, now)\n        given = beginning(",
        "        record = record_before(new, now)\n"
        "        at = _Stored(execution, now)\n"
        "        store.write({execution: [_made(new, self._encoded, at, None, starts=True)]})\n"
        "        given = beginning(",
        LABELS,
    ),
    Mutant(
        "a workflow that starts as it is posted is one transaction",
        "flowengine/engine/commands/create.py",
        "        store.write({stored.execution: changes})\n",
        "        for change in changes:\n            store.write({stored.execution: [change]})\n",
        ("tests/integration/store/test_store_triggers.py",),
    ),
    Mutant(
        "inputs expire with the execution",
        "flowengine/store/keys.py",
        "            self.inputs,\n            self.document,",
        "            self.document,",
        STORED,
    ),
    Mutant(
        "secret inputs are hidden when they are shown",
        "flowengine/engine/queries.py",
        "_HIDDEN if name in secret else value",
        "value",
        STORED,
    ),
    Mutant(
        "the work of a check is counted before it",
        "flowengine/workflow/inputs/json_schema.py",
        "    work = left.pay(decoded, value) if is_counted else 0\n",
        "    work = 1\n",
        VALUES,
    ),
    Mutant(
        "errors are made of small values only",
        "flowengine/workflow/inputs/json_schema.py",
        "    if is_counted and work * max(size, 1) <= _COPIED_BYTES:\n",
        "    if is_counted and work <= _COPIED_BYTES:\n",
        VALUES,
    ),
    Mutant(
        "a secret input is never quoted",
        "flowengine/workflow/inputs/json_schema.py",
        "        mask=_MASK,\n",
        "",
        VALUES,
    ),
    Mutant(
        "a secret input is handed on whole",
        "flowengine/workflow/checking/templates/given_references.py",
        "        if self.reads_secret(analysis):\n",
        "        if False:\n",
        DECLARED,
    ),
    Mutant(
        "inputs are not read whole where one is secret",
        "flowengine/workflow/checking/templates/given_references.py",
        "            if not name and any(root == of for of, _ in self._secret):\n",
        "            if False:\n",
        DECLARED,
    ),
    Mutant(
        "every node learns the secrets of its execution",
        "flowengine/workflow/checking/templates/template_references.py",
        "set(self._given.of_every_node)",
        "set()",
        DECLARED,
    ),
    Mutant(
        "secret inputs are hidden while their node runs",
        "flowengine/engine/running/runner.py",
        "            secret = texts_to_hide(hand.task, start.given)\n",
        "            secret: list[str] = []\n",
        READ,
    ),
    Mutant(
        "a var with a secret is not stored",
        "flowengine/workflow/inputs/beginning.py",
        "for name, one in plan.vars.items() if not one.secret}\n    scope",
        "for name, one in plan.vars.items()}\n    scope",
        VARS,
    ),
    Mutant(
        "a var that reads a secret is one",
        "flowengine/workflow/inputs/variables.py",
        "        return bool(analysis.secrets or secret)\n",
        "        return bool(analysis.secrets)\n",
        VARS,
    ),
    Mutant(
        "a condition that gives no boolean is left to a worker",
        "flowengine/workflow/inputs/beginning.py",
        "        if value is None or isinstance(value, bool):\n            yield",
        "        if True:\n            yield",
        VARS,
    ),
    Mutant(
        "a condition that was decided at the trigger is not asked again",
        "flowengine/execution/rules/dispatching.py",
        "if queued.tried <= 1 and queued.when is None else None",
        "if queued.tried <= 1 else None",
        CONDITIONS,
    ),
    Mutant(
        "what a trigger has decided is in its transaction",
        "flowengine/execution/rules/starting.py",
        "return [begin, *labelled, *decided, *timer, *told, Send(start)]",
        "return [begin, *labelled, *timer, *told, Send(start)]",
        CONDITIONS,
    ),
    Mutant(
        "secrets of executions are forgotten",
        "flowengine/handlers/secrets/redaction.py",
        "deque(maxlen=LINGERING)",
        "deque()",
        READ,
    ),
)
