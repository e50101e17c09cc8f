"""What a document says about how many of its executions run at once. Pure data, stored with the plan."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

OnLimit: TypeAlias = Literal["queue", "reject", "cancel_oldest"]
ON_LIMIT: Final[tuple[OnLimit, ...]] = get_args(OnLimit)

FIELD: Final = "concurrency"
MAX_LIMIT: Final = 1000
MAX_KEY_CHARS: Final = 200


class Concurrency(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `limit` executions of one `key` run at once.

    `key` may hold templates; None: it is the workflow's name. `shared`: other workflows that say the same key
    count as well. `on_limit`: what becomes of one more.
    """

    limit: int
    key: str | None = None
    on_limit: OnLimit = "queue"
    shared: bool = False

    @property
    def makes_key(self) -> bool:
        """Whether the key is made of what an execution is given."""
        return self.key is not None and "{{" in self.key


class NodeConcurrency(msgspec.Struct, frozen=True, array_like=True):
    """At most `limit` nodes of one `key` run at once, of all executions. Without a key it is this node of
    this workflow. It may hold templates. `place`: the workflow, and the groups and the node, of a node in
    groups that has no key."""

    limit: int
    key: str | None = None
    place: str | None = None

    @property
    def makes_key(self) -> bool:
        """Whether the key is made of what an execution is given."""
        return self.key is not None and "{{" in self.key


class KeyTemplates(msgspec.Struct, frozen=True, array_like=True):
    """What the keys of a node's limits are made of: of those that run at once, and of those that start; None:
    it needs no making."""

    turn: str | None = None
    pace: str | None = None


class MadeKeys(msgspec.Struct, frozen=True, array_like=True):
    """The keys of a node's limits that were made: of those that run at once, and of those that start; None:
    it needs no making. `asked`: the dispatch of the node whose task has made them; 0: they were made when
    the execution was triggered."""

    turn: str | None = None
    pace: str | None = None
    asked: int = 0


RATE_FIELD: Final = "rate_limit"
MAX_STARTS: Final = 10_000
MIN_PER_S: Final = 0.1
MAX_PER_S: Final = 86_400


class RateLimit(msgspec.Struct, frozen=True, array_like=True):
    """In any time of `per_ms` at most `limit` nodes of one `key` start, of all executions. Without a key it
    is this node of this workflow. It may hold templates. `place`: the workflow, and the groups and the node,
    of a node in groups that has no key."""

    limit: int
    per_ms: int
    key: str | None = None
    place: str | None = None

    @property
    def makes_key(self) -> bool:
        """Whether the key is made of what an execution is given."""
        return self.key is not None and "{{" in self.key


CACHE_FIELD: Final = "cache"


class CachePolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the node has given is given again, for so long, to who asks for the same.

    `owner`: the workflow, the groups and the node, to which entries belong: those of applied definitions
    stand apart from those of posted documents. `key`: a template that says what is the same; None: the
    rendered config does.
    """

    ttl_s: int
    owner: str
    key: str | None = None
