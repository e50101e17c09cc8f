"""Ids of executions as people write them: the beginning is enough where no other id begins so."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowengine.client import Client

ID_CHARS: Final = 27
SHORTEST: Final = 13
"""The time of creation, in milliseconds, and two characters more."""

_CANDIDATES: Final = 5
_MOST_LOOKED_AT: Final = 1000


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The beginnings that tell these ids apart, with a character to spare for others."""
    ordered = sorted(set(ids))
    needed = dict.fromkeys(ordered, SHORTEST)
    for one, other in pairwise(ordered):
        length = _alike(one, other) + 2
        for each in (one, other):
            needed[each] = max(needed[each], length)
    return {each: each[:length] for each, length in needed.items()}


def _alike(one: str, other: str) -> int:
    """How many characters two ids begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def whole_id(client: Client, given: str) -> str:
    """The id that is meant. Raises CannotRunError if no execution has it, or several begin so."""
    if len(given) >= ID_CHARS:
        return given
    looked_at = islice(client.list(begins_with=given, limit=100), _MOST_LOOKED_AT) if given else ()
    found = [item for item in looked_at if item.execution_id.startswith(given)]
    if len(found) == 1:
        return found[0].execution_id
    if not found:
        raise CannotRunError(
            f"no execution has an id that begins with '{plain_text(given)}'; see: flowengine list"
        )
    shown = [
        f"\n  {item.execution_id}  {item.status}  {item.created_at}  {plain_text(item.name)}"
        for item in found[:_CANDIDATES]
    ]
    more = f"\n  and {len(found) - _CANDIDATES} more" if len(found) > _CANDIDATES else ""
    raise CannotRunError(
        f"the ids of {len(found)} executions begin with '{plain_text(given)}': write more of the one that "
        f"you mean{''.join(shown)}{more}"
    )
