"""Rules of nodes that wait: how a wait begins, what ends it, and what it keeps."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

APPROVALS: Final = ("tests/integration/waits/test_engine_approvals.py",)
ADDRESSES: Final = ("tests/integration/waits/test_engine_addresses.py",)
SIGNALS: Final = ("tests/integration/waits/test_engine_signals.py",)
WAITS: Final = ("tests/integration/waits/test_engine_waits.py",)
HANDLERS: Final = ("tests/integration/waits/test_engine_handler_waits.py",)
CALLBACKS: Final = ("tests/integration/waits/test_engine_callbacks.py",)


def _callback(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, CALLBACKS)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, WAITS)


def _handler(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, HANDLERS)


MUTANTS: Final = (
    _handler(
        "a node waits for no signal that its handler has not declared",
        "execution/rules/waits/beginning",
        "if all(name in known for name in names):",
        "if True:",
    ),
    _handler(
        "what a handler says of a wait goes before what its document says",
        "execution/rules/waits/beginning",
        "    return said or policy.waits\n",
        "    return policy.waits or said\n",
    ),
    _handler(
        "the time that a handler names counts",
        "execution/rules/waits/beginning",
        "said = waiting.said or policy.waits",
        "said = policy.waits or waiting.said",
    ),
    _handler(
        "without names a node waits for all that its handler declares",
        "engine/running/awaited_signals",
        "names = declared if given is None else",
        "names = declared[:1] if given is None else",
    ),
    _in(
        "a wait that is reported during a stop does not begin",
        "execution/rules/finishing",
        "return _begin_waiting(report, waiting) if control.stop is None else _cancel(report)",
        "return _begin_waiting(report, waiting)",
    ),
    _in(
        "a worker's report does not end a wait",
        "execution/rules/finishing",
        "    if type(by) is not ByEvent or record.in_line:\n        return False\n",
        "    if type(by) is not ByEvent or record.in_line:\n        return not record.in_line\n",
    ),
    Mutant(
        "the time of a wait is nothing to a node that waits for another try",
        "flowengine/execution/rules/finishing.py",
        "    return by.called or record.waits is not None\n",
        "    return True\n",
        APPROVALS,
    ),
    _in(
        "a call that was put off belongs to the same attempt",
        "execution/rules/dispatching",
        '"call_again", record.attempt,',
        '"call_again", record.attempt + 1,',
    ),
    _in(
        "a call that was put off is no further try",
        "execution/rules/dispatching",
        '("dispatch_again", "call_again")',
        '("dispatch_again",)',
    ),
    _in(
        "the condition of a node is asked before its first call only",
        "execution/rules/waits/beginning",
        "when=True if policy.when is not None else ended.when,",
        "when=ended.when,",
    ),
    _in(
        "a wait counts from when its node was sent",
        "execution/rules/waits/beginning",
        "until = since + (",
        "until = now + 5 + (",
    ),
    _in(
        "what would wait for too long does not begin",
        "execution/rules/waits/beginning",
        "if until - since > timeout_ms:",
        "if False:",
    ),
    _in(
        "calls that are put off count to max_seconds",
        "execution/rules/waits/beginning",
        "if until > last:",
        "if False:",
    ),
    _in(
        "what is due during a pause happens after it",
        "engine/advancing/steps/wait_over",
        "if waits and not control.lets_dispatch:",
        "if False:",
    ),
    Mutant(
        "a signal that is taken is kept no more",
        "flowengine/store/committing/signal_commands.py",
        'return [("HSET", key, size, change.size, *left), ("HDEL", key, *gone)]',
        'return [("HSET", key, size, change.size, *left)]',
        SIGNALS,
    ),
    Mutant(
        "of several signals the first that came counts",
        "flowengine/execution/rules/waits/signalling.py",
        "number, name = min(heads)",
        "number, name = heads[0]",
        SIGNALS,
    ),
    Mutant(
        "the node that has waited longest takes a signal",
        "flowengine/execution/rules/waits/signalling.py",
        "in sorted(waiting):",
        "in waiting:",
        SIGNALS,
    ),
    Mutant(
        "what is kept for an execution is of no item",
        "flowengine/execution/rules/waits/signalling.py",
        "if last in lineage.chain else lineage.chain",
        "if False else lineage.chain",
        ADDRESSES,
    ),
    Mutant(
        "a signal that comes is told to the groups in which somebody waits",
        "flowengine/engine/advancing/steps/signal_step.py",
        "        self._tell_groups(plan, run)\n",
        "",
        ADDRESSES,
    ),
    Mutant(
        "a signal is kept for groups that have not begun",
        "flowengine/workflow/plan.py",
        "return tuple(dict.fromkeys([*self.signal_names, *of_groups]))",
        "return self.signal_names or tuple(of_groups[:0])",
        ADDRESSES,
    ),
    Mutant(
        "an item keeps signals for its groups",
        "flowengine/engine/commands/answering/send_signal.py",
        "if name in holder.plan.signals_kept and _is_picked(holder, way[place:]):",
        "if False:",
        ADDRESSES,
    ),
    Mutant(
        "a signal matches what nodes in groups say of it",
        "flowengine/engine/commands/answering/send_signal.py",
        "if name in names else []",
        "if False else []",
        ADDRESSES,
    ),
    Mutant(
        "what lets a node wait looks for a signal that is there already",
        "flowengine/execution/rules/finishing.py",
        'if waiting.kind == "signal" else ()',
        'if waiting.kind == "later" else ()',
        SIGNALS,
    ),
    Mutant(
        "what is being stopped takes no signals",
        "flowengine/engine/commands/answering/send_signal.py",
        "if not control.lets_decide:",
        'if control.status == "pending":',
        SIGNALS,
    ),
    Mutant(
        "signals expire with their execution",
        "flowengine/store/committing/encode_changes.py",
        "            names += self._signals(execution, plan)\n",
        "",
        SIGNALS,
    ),
    Mutant(
        "signals of a child expire with its root",
        "flowengine/store/committing/children.py",
        "        nodes += [names.signals(child)] if plan.signals_kept else []\n",
        "",
        ("tests/integration/waits/test_engine_waits_in_groups.py",),
    ),
    Mutant(
        "signals stay while their execution runs again",
        "flowengine/store/committing/encode_changes.py",
        "            names += self._signals(execution, self._lifetimes.plan(execution))\n",
        "",
        SIGNALS,
    ),
    Mutant(
        "a decision counts once",
        "flowengine/engine/commands/answering/decide.py",
        "if first is not None and before.run == control.run:",
        "if False:",
        APPROVALS,
    ),
    Mutant(
        "a rejection is no approval",
        "flowengine/execution/rules/waits/deciding.py",
        "completes = answer.approved or",
        "completes = True or",
        APPROVALS,
    ),
    Mutant(
        "a decision is meant for its attempt",
        "flowengine/execution/rules/waits/deciding.py",
        "if answer.attempt not in (None, record.attempt):",
        "if False:",
        APPROVALS,
    ),
    Mutant(
        "what is being stopped takes no decision",
        "flowengine/execution/rules/waits/deciding.py",
        "if control.stop is not None:",
        "if False:",
        APPROVALS,
    ),
    Mutant(
        "what waits no more is not listed",
        "flowengine/engine/waiting_nodes.py",
        "if stored is None or not _waits(waiter, *stored):",
        "if stored is None:",
        APPROVALS,
    ),
    _callback(
        "no callback counts once its execution is being stopped",
        "execution/rules/waits/calling_back",
        "control.stop is not None or not takes_reports",
        "not takes_reports",
    ),
    _callback(
        "of two callbacks the first counts",
        "execution/rules/waits/calling_back",
        " or record.called is not None:",
        ":",
    ),
    _callback(
        "a callback counts in its own run only",
        "execution/rules/waits/calling_back",
        " or {control.run, record.run} != {run}:",
        ":",
    ),
    _callback(
        "a callback that comes early decides over the handler's outcome",
        "execution/rules/finishing",
        "callback.outcome if record.called is None else decided_by(record.called, callback.outcome)",
        "callback.outcome",
    ),
    _callback(
        "a failure of which a callback tells is not tried again",
        "execution/rules/finishing",
        "report.control.lets_decide and not report.is_called_back",
        "report.control.lets_decide",
    ),
    Mutant(
        "a callback that is kept stays with the node's next task",
        "flowengine/execution/rules/dispatching.py",
        "        called=record.called,\n",
        "",
        ("tests/unit/execution/test_dispatching.py",),
    ),
    _callback(
        "a token that was not given out is unknown",
        "execution/callback_tokens",
        "return hmac.compare_digest(token.proof, _proof(seed, token.execution, token.node, token.run))",
        "return True",
    ),
    _callback(
        "a stop frees what a handler gave whose node waits for a callback",
        "execution/rules/stopping",
        "counted=0 if holds_response(record) else record.counted,",
        "",
    ),
)
