"""Compiled plans, decoded once per process and kept within a memory budget.

Executions of the same workflow share one decoded plan.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from flowengine.workflow.plan import Plan, decode_plan

BUDGET_BYTES = 64 * 1024 * 1024
NODE_BYTES = 1024
"""What a decoded node takes beside its config, about."""
MOST_EXECUTIONS = 10_000


class PlanCache:
    """The plans used last, bounded by the bytes that they take and by the number of executions remembered."""

    def __init__(self, budget: int = BUDGET_BYTES, executions: int = MOST_EXECUTIONS) -> None:
        self._budget = budget
        self._most = executions
        self._held = 0
        self._plans: OrderedDict[bytes, tuple[Plan, int]] = OrderedDict()
        self._digests: OrderedDict[str, bytes] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, execution: str) -> Plan | None:
        """The plan, if it is here."""
        with self._guard:
            digest = self._digests.get(execution)
            entry = None if digest is None else self._plans.get(digest)
            if entry is None or digest is None:
                return None
            self._plans.move_to_end(digest)
            self._digests.move_to_end(execution)
            return entry[0]

    def put(self, execution: str, encoded: bytes, plan: Plan | None = None) -> Plan:
        """Keep a plan, decoding it unless an equal one is here or it is given."""
        with self._guard:
            digest, kept = self._keep(encoded, plan)
            self._digests[execution] = digest
            self._shrink()
            return kept

    def decoded(self, encoded: bytes) -> Plan:
        """The plan that these bytes say, of no execution: decoded unless an equal one is here."""
        with self._guard:
            _, kept = self._keep(encoded, None)
            self._shrink()
            return kept

    def drop(self, execution: str) -> None:
        """Forget an execution that has ended; its plan stays within the budget."""
        with self._guard:
            self._digests.pop(execution, None)

    def forget_executions(self) -> None:
        """Forget all executions; plans stay within the budget."""
        with self._guard:
            self._digests.clear()

    def _keep(self, encoded: bytes, plan: Plan | None) -> tuple[bytes, Plan]:
        digest = hashlib.blake2b(encoded, digest_size=16).digest()
        entry = self._plans.get(digest)
        if entry is None:
            made = plan or decode_plan(encoded)
            entry = (made, len(encoded) + NODE_BYTES * len(made.nodes))
            self._plans[digest] = entry
            self._held += entry[1]
        self._plans.move_to_end(digest)
        return digest, entry[0]

    def _shrink(self) -> None:
        while self._held > self._budget and len(self._plans) > 1:
            _, (_, size) = self._plans.popitem(last=False)
            self._held -= size
        while len(self._digests) > self._most:
            self._digests.popitem(last=False)
