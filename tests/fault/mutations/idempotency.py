"""Rules of starts over HTTP: a repeated one is done once and answered alike; what ends a wait for the end."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

REPEATED: Final = ("tests/integration/store/test_idempotent_requests.py",)
OVER_HTTP: Final = ("tests/unit/api/test_api_idempotency.py",)
WAITS: Final = ("tests/unit/api/test_api_wait.py",)


def _in(rule: str, path: str, old: str, new: str, tests: tuple[str, ...] = REPEATED) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, tests)


MUTANTS: Final = (
    _in(
        "a creation WATCHes what is kept of its request",
        "store/api_state",
        "retrying_watch([name], [",
        "retrying_watch([], [",
    ),
    _in(
        "what is kept of a creation is written with it",
        "store/committing/encode_changes",
        '            self.commands.append(("SET", once, _encode(change.kept), *self._until(change, gone)))\n',
        "            del once\n",
    ),
    _in(
        "what is kept of a creation stays while the execution runs",
        "store/committing/encode_changes",
        "        names = self._keys.with_control(execution)\n        if change.was",
        "        names = [self._keys.control(execution)]\n        if change.was",
    ),
    _in(
        "what is kept of a creation expires with the execution",
        "store/committing/encode_changes",
        "            *expiring(self._keys.with_control(execution), at),\n",
        "            *expiring([self._keys.control(execution)], at),\n",
    ),
    _in(
        "what is kept of an execution that is gone counts no more",
        "store/api_state",
        "if kept is not None and (record := self._state.read_execution(kept.execution)) is not None:",
        "if kept is not None and (record := self._state.read_execution(kept.execution)) is None:",
    ),
    _in(
        "what is kept of a creation goes with the execution",
        "store/committing/removal",
        '("DEL", *names.with_control(execution)),',
        '("DEL", names.control(execution)),',
    ),
    _in(
        "what is kept of a trigger is written with it",
        "engine/commands/trigger",
        "        changes.append(Answer(",
        "        _ = (Answer(",
    ),
    _in(
        "another request with the same key is refused",
        "execution/requests/idempotency",
        "    if kept.content != request.content:\n",
        "    if False:\n",
    ),
    _in(
        "each caller has idempotency keys of its own",
        "api/routes/starting/idempotent_requests",
        'caller_of(request).key or "",',
        '"",',
        OVER_HTTP,
    ),
    _in(
        "a repeated request is answered before its document is looked at",
        "api/routes/executions/workflow_body",
        "    backend.executions.answered_before(found)\n",
        "",
        OVER_HTTP,
    ),
    _in(
        "a caller who leaves ends its wait",
        "api/routes/starting/waiting_for_the_end",
        "asyncio.wait((ending, leaving), ",
        "asyncio.wait((ending,), ",
        WAITS,
    ),
    _in(
        "a start is answered though its end cannot be waited for",
        "api/routes/starting/waiting_for_the_end",
        "        if isinstance(error, RefusalError):\n            raise\n",
        "        raise\n",
        WAITS,
    ),
)
