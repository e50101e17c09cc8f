"""A sorted set: members with scores, in the order of scores, then of members."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class SortedSet:
    """Sorted when it is read, as most sets are written more often than read."""

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self._order: list[tuple[float, bytes]] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def set(self, member: bytes, score: float) -> None:
        """Add a member, or give it another score."""
        self.scores[member] = score
        self._order = None

    def remove(self, member: bytes) -> bool:
        """Whether it was there."""
        if self.scores.pop(member, None) is None:
            return False
        self._order = None
        return True

    def ordered(self) -> list[tuple[float, bytes]]:
        """All members with their scores."""
        if self._order is None:
            self._order = sorted((score, member) for member, score in self.scores.items())
        return self._order

    def by_score(self, low: bytes, high: bytes) -> list[tuple[float, bytes]]:
        """Those between two scores, as Redis writes them: `5`, `(5`, `-inf`."""
        (least, over), (most, under) = score_bound(low), score_bound(high)
        return [
            (score, member)
            for score, member in self.ordered()
            if (score > least if over else score >= least) and (score < most if under else score <= most)
        ]

    def by_member(self, low: bytes, high: bytes) -> list[tuple[float, bytes]]:
        """Those between two members, as Redis writes them: `[a`, `(a`, `-`, `+`. All have one score."""
        members = [member for _, member in self.ordered()]
        found = self.ordered()
        return found[_lower(members, low) : _upper(members, high)]


def score_bound(text: bytes) -> tuple[float, bool]:
    """A bound, and whether it is left out itself."""
    return (float(text[1:]), True) if text[:1] == b"(" else (float(text), False)


def _lower(members: list[bytes], bound: bytes) -> int:
    if bound in (b"-", b"+"):
        return 0 if bound == b"-" else len(members)
    return (bisect_right if bound[:1] == b"(" else bisect_left)(members, bound[1:])


def _upper(members: list[bytes], bound: bytes) -> int:
    if bound in (b"-", b"+"):
        return 0 if bound == b"-" else len(members)
    return (bisect_left if bound[:1] == b"(" else bisect_right)(members, bound[1:])
