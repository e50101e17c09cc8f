"""Commands of sorted sets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowengine.testing.memory.arguments import Args, Carry, paged, span
from flowengine.testing.memory.keyspace import Keyspace
from flowengine.testing.memory.sorted_set import SortedSet

_FLAGS: Final = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH"})
_EMPTY: Final = SortedSet()


def _read(space: Keyspace, key: bytes) -> SortedSet:
    return space.find(key, SortedSet) or _EMPTY


def _add(space: Keyspace, args: Args) -> object:
    at = next(at for at, word in enumerate(args[1:], 1) if word not in _FLAGS)
    key, flags, pairs = args[0], frozenset(args[1:at]), args[at:]
    chosen = _read(space, key)
    wanted = [
        (member, float(score))
        for score, member in zip(pairs[::2], pairs[1::2], strict=True)
        if _is_wanted(chosen.scores.get(member), float(score), flags)
    ]
    if not wanted:
        return 0
    chosen = space.open(key, SortedSet)
    before = len(chosen)
    for member, score in wanted:
        chosen.set(member, score)
    return len(chosen) - before


def _is_wanted(before: float | None, score: float, flags: frozenset[bytes]) -> bool:
    if before is None:
        return b"XX" not in flags
    if b"NX" in flags or (b"GT" in flags and score <= before) or (b"LT" in flags and score >= before):
        return False
    return score != before


def _remove(space: Keyspace, args: Args) -> object:
    return _without(space, args[0], [member for member in args[1:] if member in _read(space, args[0]).scores])


def _without(space: Keyspace, key: bytes, members: list[bytes]) -> int:
    if not members:
        return 0
    chosen = space.open(key, SortedSet)
    gone = sum([chosen.remove(member) for member in members])
    space.close(key)
    return gone


def _range(space: Keyspace, args: Args) -> object:
    key, start, stop, *options = args
    chosen, is_reversed = _read(space, key), b"REV" in options
    low, high = (stop, start) if is_reversed else (start, stop)
    if b"BYSCORE" in options:
        rows = chosen.by_score(low, high)
    elif b"BYLEX" in options:
        rows = chosen.by_member(low, high)
    else:
        rows = chosen.ordered()[::-1] if is_reversed else chosen.ordered()
        return _written(rows[span(start, stop, len(rows))], options)
    return _written(paged(rows[::-1] if is_reversed else rows, options), options)


def _written(rows: list[tuple[float, bytes]], options: Args) -> list[bytes]:
    if b"WITHSCORES" not in options:
        return [member for _, member in rows]
    return [part for score, member in rows for part in (member, _score(score))]


def _score(score: float) -> bytes:
    return b"%d" % score if score == int(score) else repr(score).encode()


def _score_of(space: Keyspace, args: Args) -> object:
    score = _read(space, args[0]).scores.get(args[1])
    return None if score is None else _score(score)


def _size(space: Keyspace, args: Args) -> object:
    return len(_read(space, args[0]))


def _count_members(space: Keyspace, args: Args) -> object:
    return len(_read(space, args[0]).by_member(args[1], args[2]))


def _remove_by_rank(space: Keyspace, args: Args) -> object:
    rows = _read(space, args[0]).ordered()
    return _without(space, args[0], [member for _, member in rows[span(args[1], args[2], len(rows))]])


def _remove_by_score(space: Keyspace, args: Args) -> object:
    rows = _read(space, args[0]).by_score(args[1], args[2])
    return _without(space, args[0], [member for _, member in rows])


COMMANDS: Final[Mapping[bytes, Carry]] = MappingProxyType(
    {
        b"ZADD": _add,
        b"ZREM": _remove,
        b"ZRANGE": _range,
        b"ZSCORE": _score_of,
        b"ZCARD": _size,
        b"ZLEXCOUNT": _count_members,
        b"ZREMRANGEBYRANK": _remove_by_rank,
        b"ZREMRANGEBYSCORE": _remove_by_score,
    }
)
