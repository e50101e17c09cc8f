"""Ask for one action on many executions, and see how far it is."""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec.structs import replace

from flowengine.access.acting import acting_actor
from flowengine.errors import BulkNotFoundError, StoredFormatError
from flowengine.execution.requests.bulk import Bulk, BulkView, Progress, bulk_view
from flowengine.execution.requests.listing import Wanted


class BulkCommands(Protocol):
    """State as this needs it. Every method may raise StoreUnavailableError."""

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""

    def create(self, bulk: Bulk) -> str:
        """Store it and send its first message; returns its id."""

    def read(self, bulk_id: str) -> tuple[Bulk, Progress] | None: ...


def start_bulk(store: BulkCommands, bulk: Bulk) -> BulkView:
    """Begin with it. A filter means what has been created by now. Raises StoreUnavailableError."""
    now = store.now()
    wanted = None if bulk.wanted is None else _by(bulk.wanted, now)
    who = acting_actor()
    bulk = replace(bulk, created_at=now, wanted=wanted)
    bulk = replace(bulk, by=who.key, key_made_at=who.made_at, allowed=who.definitions)
    return bulk_view(store.create(bulk), bulk, Progress(1, ""))


def _by(wanted: Wanted, now: int) -> Wanted:
    before = now + 1 if wanted.created_before is None else min(wanted.created_before, now + 1)
    return replace(wanted, created_before=before)


def show_bulk(store: BulkCommands, bulk_id: str) -> BulkView:
    """How far it is. Raises BulkNotFoundError, StoredFormatError (what is stored of it cannot be read),
    StoreUnavailableError."""
    try:
        found = store.read(bulk_id)
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise StoredFormatError(
            f"what is stored of bulk '{bulk_id}' cannot be read ({error}): perhaps another version wrote it"
        ) from error
    if found is None:
        raise BulkNotFoundError.of(bulk_id)
    return bulk_view(bulk_id, *found)
