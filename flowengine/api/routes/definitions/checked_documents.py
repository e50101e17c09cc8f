"""Documents that were found right lately: an apply sends what a comparison has had checked just before.

Checking takes milliseconds a document, and a folder of them is checked as a whole before its first one is
applied. Of one process; threads may share it. What is kept depends on nothing but the text: the handlers and
the limits of a process do not change.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Final

from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.workflow.definitions.applied_document import AppliedDocument, check_applied
from flowengine.workflow.validation import Form

BUDGET_BYTES: Final = 4 * 1024 * 1024
"""What the texts of those that are kept may take together. What was made of a text takes some times as
much."""


class CheckedDocuments:
    """The right documents that were checked last, within a budget."""

    def __init__(self, registry: Registry, limits: Limits, budget: int = BUDGET_BYTES) -> None:
        self._registry = registry
        self._limits = limits
        self._budget = budget
        self._held = 0
        self._found: OrderedDict[bytes, tuple[AppliedDocument, int]] = OrderedDict()
        self._guard = threading.Lock()

    def check(self, body: bytes, form: Form) -> AppliedDocument:
        """What `check_applied` says of a document under its own name."""
        digest = hashlib.blake2b(body, digest_size=16, person=form.encode()).digest()
        with self._guard:
            known = self._found.get(digest)
            if known is not None:
                self._found.move_to_end(digest)
                return known[0]
        made = check_applied(body, form, self._registry, self._limits)
        if made.checked.plan is not None and not made.checked.problems:
            self._keep(digest, made, len(body))
        return made

    def _keep(self, digest: bytes, made: AppliedDocument, size: int) -> None:
        with self._guard:
            _, before = self._found.pop(digest, (made, 0))
            self._found[digest] = made, size
            self._held += size - before
            while self._held > self._budget:
                _, (_, dropped) = self._found.popitem(last=False)
                self._held -= dropped
