"""What the plan holds of a map. Pure data."""

from __future__ import annotations

import msgspec


class MapPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node that runs once for each item of a list, or of an object.

    `spec`: what a worker renders to know the items, as JSON: `items`, and where they are given `key`,
    `max_concurrent`, `tolerated_failures` and `max_seconds`, templates unrendered. `name`: what templates
    call an item.
    """

    spec: str
    name: str = "item"

    @property
    def names(self) -> tuple[str, str, str]:
        """The names under which the node's templates read the item, its index and its key."""
        return names_of(self.name)


def names_of(item: str) -> tuple[str, str, str]:
    """What the index and the key are called of an item that is called so, after its own name."""
    return item, f"{item}_index", f"{item}_key"
