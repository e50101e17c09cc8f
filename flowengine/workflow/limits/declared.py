"""What a document says about how many of its executions run at once. Pure data, stored with the plan."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

OnLimit: TypeAlias = Literal["queue", "reject", "cancel_oldest"]
ON_LIMIT: Final[tuple[OnLimit, ...]] = get_args(OnLimit)

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
