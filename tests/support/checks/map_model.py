"""What a map must do with its items, for the small model of an execution. Statuses and numbers only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple, TypeAlias

ItemOutcome: TypeAlias = Literal["completed", "failed", "failed_for_good", "cancelled"]


class MapSays(NamedTuple):
    """So many items, of which so many run at once (0: all), and so many may fail."""

    items: int
    at_once: int
    tolerated: int


class MapModel:
    """The items of one map, over all runs that keep them.

    `ended`: how those have ended that have. `wanted`: those that run in the run that comes, if some were
    chosen. `to_run`: those of this run, in the order in which they are sent; `sent`: how many have been.
    """

    def __init__(self, says: MapSays) -> None:
        self.says = says
        self.ended: dict[int, str] = {}
        self.wanted: list[int] | None = None
        self.to_run = list(range(says.items))
        self.sent = 0
        self.number: dict[int, int] = {}
        self.waiting: set[int] = set()
        self.stays = 0
        self.out = 0

    # -- runs

    def keep(self) -> None:
        """Another run: all run that have not completed."""
        self.wanted, self.stays, self.out = None, 0, 0

    def choose(self, named: Collection[int]) -> None:
        """Another run: these run. The others stay as they are, and those that had not ended do not run."""
        failed = {index for index, how in self.ended.items() if how == "failed"}
        self.stays = len(failed - set(named))
        self.out = len(set(range(self.says.items)) - set(self.ended) - set(named))
        self.wanted = sorted(named)
        for index in named:
            self.ended.pop(index, None)

    def open(self) -> None:
        """What it runs is known."""
        left = [index for index in range(self.says.items) if self.ended.get(index) != "completed"]
        self.to_run = left if self.wanted is None else self.wanted
        for index in self.to_run:
            self.ended.pop(index, None)
        self.sent, self.number, self.waiting, self.wanted = 0, {}, set(), None

    # -- items

    def report(self, index: int, number: int, outcome: ItemOutcome, *, again: bool) -> None:
        """What a worker says of a try of an item. `again`: a failed one is tried once more."""
        if index in self.ended or index in self.waiting or self.number.get(index, 1) != number:
            return
        if outcome == "failed" and again:
            self.number[index] = number
            self.waiting.add(index)
        elif outcome != "cancelled":
            self.ended[index] = "completed" if outcome == "completed" else "failed"

    def time_over(self, index: int, number: int) -> None:
        """The pause after a try is over: the next one is sent."""
        if index in self.waiting and self.number[index] == number:
            self.waiting.discard(index)
            self.number[index] = number + 1

    # -- how far it is

    @property
    def left(self) -> int:
        """How many of this run have not ended."""
        return sum(index not in self.ended for index in self.to_run)

    @property
    def failed(self) -> int:
        """How many have failed, with those of runs before that stay so."""
        return self.stays + sum(self.ended.get(index) == "failed" for index in self.to_run)

    @property
    def gives_up(self) -> bool:
        """Whether nothing more is sent. What stays failed keeps nothing from running that was chosen."""
        return self.failed > max(self.says.tolerated - self.out, self.stays)

    @property
    def may_be_sent(self) -> int:
        """How many may have been sent by now, at most."""
        most = self.says.at_once or len(self.to_run)
        return min(len(self.to_run), len(self.to_run) - self.left + most)

    @property
    def ends(self) -> bool:
        """Whether it ends now: all have ended, or too many have failed and none is in flight."""
        in_flight = self.sent - (len(self.to_run) - self.left)
        return not self.left or (self.gives_up and not in_flight)

    @property
    def is_due(self) -> bool:
        """Whether something is to be sent now."""
        return not self.ends and not self.gives_up and self.sent < self.may_be_sent

    @property
    def completes(self) -> bool:
        """How it ends: whether enough have completed."""
        return not self.left and self.failed + self.out <= self.says.tolerated
