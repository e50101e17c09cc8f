"""Takes over messages whose leases have lapsed.

A lease lapses when its holder has died, has handed the message back, or was cut off. One of the messages that
a dead process held may have killed it. So a process begins with one suspect alone (`suspects`): otherwise
innocent messages would reach the limit of deliveries beside a killer.

A look costs the same whatever is pending. It goes on behind the last one, from the oldest entry to the
newest. What is processed quickly leaves soon, so what a dead process held is among the oldest when its lease
has lapsed. Older than that is only what other processes are at for longer, and each of them looks as well.

A message is a suspect from its third delivery on. After one crash all messages start again together:
otherwise a single worker would run sixteen long nodes one after the other.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import structlog

from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.streams.consumer_group import ConsumerGroup, Lapsed, RawEntry
from flowengine.broker.timing import TIMING, Timing
from flowengine.observability.metrics import counted

SCAN_LIMIT: Final = 256
"""So many pending entries are looked at in one look, however many there are."""

_FIRST_NAP_S: Final = 0.005

log = structlog.stdlib.get_logger(__name__)


class Recoverer:
    """Looks for lapsed messages of one queue, for the thread of one consumer.

    With `cautious`, the process holds few suspects at a time. What was delivered `max_deliveries` times is no
    suspect any more: it is to be buried. One look is at `scan_limit` pending entries.
    """

    def __init__(
        self,
        group: ConsumerGroup,
        queue: str,
        held_messages: HeldMessages,
        timing: Timing = TIMING,
        *,
        cautious: bool,
        max_deliveries: int = 3,
        scan_limit: int = SCAN_LIMIT,
    ) -> None:
        self._group = group
        self._queue = queue
        self._held = held_messages
        self._scan_every_s = timing.scan_every_s
        self._cautious = cautious
        self._max_deliveries = max_deliveries
        self._scan_limit = scan_limit
        self._lease_s = group.lease_ms / 1000
        self.standstill_s: Final = max(timing.standstill_s, self._lease_s / 3)
        """A later reply means that the server or this process stood still, and perhaps other holders."""
        self._not_before = 0.0
        self._next_scan = 0.0
        self._nap_s = _FIRST_NAP_S
        self._candidates: deque[Lapsed] = deque()
        self._looked_until: bytes | None = None

    def postpone(self, for_s: float | None = None) -> None:
        """Take nothing over for so long, a lease by default: the holders may have been cut off as well."""
        until = time.monotonic() + (self._lease_s if for_s is None else for_s)
        self._not_before = max(self._not_before, until)
        self._candidates.clear()

    def rest_s(self) -> float:
        """How long the caller may do other things before it calls `take` again."""
        now = time.monotonic()
        due = max(self._next_scan, self._not_before) - now
        if self._candidates:
            due = min(due, self._nap_s)
        return max(0.0, due)

    def take(self, most: int) -> list[tuple[RawEntry, int]]:
        """Take over up to `most` lapsed entries. Returns each with its delivery count."""
        now = time.monotonic()
        if now < self._not_before:
            return []
        if now >= self._next_scan:
            self._scan()
            self._next_scan = now + self._scan_every_s
        if not self._candidates:
            return []
        chosen, uncounted = self._choose(most)
        if not chosen and not uncounted:
            self._nap_s = min(self._scan_every_s, self._nap_s * 2)
            return []
        self._nap_s = _FIRST_NAP_S
        counts = {lapsed.id: lapsed.deliveries + 1 for lapsed in chosen}
        claimed = self._group.claim(self._queue, list(counts)) if counts else []
        for number in {lapsed.deliveries for lapsed in uncounted}:
            same = {lapsed.id: number for lapsed in uncounted if lapsed.deliveries == number}
            claimed += self._group.claim(self._queue, list(same), counted_as=number)
            counts |= same
        if claimed:
            counted.TAKEN_OVER.add(self._queue, by=len(claimed))
            log.info("broker.messages_taken_over", queue=self._queue, count=len(claimed))
        return [(entry, counts[entry[0]]) for entry in claimed]

    def _scan(self) -> None:
        """Look at the next pending entries. A look begins at the oldest once one has reached the newest."""
        self._candidates.clear()
        late = []
        asked = time.monotonic()
        look = self._group.lapsed(self._queue, self._scan_limit, after=self._looked_until)
        stood_still = time.monotonic() - asked > self.standstill_s
        self._looked_until = look.reached
        for lapsed in look.lapsed:
            if self._held.is_held(self._queue, lapsed.id):
                late.append(lapsed.id)
            else:
                self._candidates.append(lapsed)
        if late:
            self._group.renew(self._queue, late)
        if stood_still:
            self.postpone()

    def _choose(self, most: int) -> tuple[list[Lapsed], list[Lapsed]]:
        """Those to claim now, removed from the candidates: those that count, and suspects beside others."""
        if not self._cautious:
            return [self._candidates.popleft() for _ in range(min(most, len(self._candidates)))], []
        admitted, alone = self._held.admit_suspects(self._queue)
        chosen: list[Lapsed] = []
        suspects: list[Lapsed] = []
        kept: deque[Lapsed] = deque()
        for lapsed in self._candidates:
            suspect = self._held.suspect_from <= lapsed.deliveries + 1 <= self._max_deliveries
            if len(chosen) + len(suspects) >= most or (suspect and len(suspects) >= admitted):
                kept.append(lapsed)
            else:
                (suspects if suspect else chosen).append(lapsed)
        self._candidates = kept
        self._held.expect_suspects([lapsed.id for lapsed in suspects])
        return ([*chosen, *suspects], []) if alone else (chosen, suspects)
