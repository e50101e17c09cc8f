"""Compiled plans, decoded once per process and kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict

from flowengine.workflow.plan import Plan, decode_plan

ROOM_BYTES = 64 * 1024 * 1024


class PlanCache:
    """The plans used last, by execution, bounded by the bytes of their encoded form.

    A decoded plan takes several times its encoded size; `room` is in encoded bytes.
    """

    def __init__(self, room: int = ROOM_BYTES // 8) -> None:
        self._room = room
        self._held = 0
        self._plans: OrderedDict[str, tuple[Plan, int]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, execution: str) -> Plan | None:
        """The plan, if it is here."""
        with self._guard:
            entry = self._plans.get(execution)
            if entry is None:
                return None
            self._plans.move_to_end(execution)
            return entry[0]

    def put(self, execution: str, encoded: bytes) -> Plan:
        """Decode a plan and keep it."""
        plan = decode_plan(encoded)
        with self._guard:
            if execution not in self._plans:
                self._plans[execution] = (plan, len(encoded))
                self._held += len(encoded)
            while self._held > self._room and len(self._plans) > 1:
                _, (_, size) = self._plans.popitem(last=False)
                self._held -= size
        return plan

    def drop(self, execution: str) -> None:
        """Forget an execution that has ended."""
        with self._guard:
            entry = self._plans.pop(execution, None)
            if entry is not None:
                self._held -= entry[1]
