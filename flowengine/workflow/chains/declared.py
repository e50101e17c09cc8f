"""What a document says of the executions that it follows, as it is stored (LANGUAGE section 9). Pure data."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from flowengine.workflow.schedules.declared import NO_INPUTS

FIELD: Final = "after"
MAX_AFTER: Final = 32

EndStatus: TypeAlias = Literal["completed", "failed", "cancelled"]
"""How an execution may have ended."""
END_STATUSES: Final[tuple[EndStatus, ...]] = get_args(EndStatus)


class After(msgspec.Struct, frozen=True, omit_defaults=True):
    """An execution starts when one of the definition `workflow` ends in one of these statuses. `inputs`: what
    it is given, JSON with templates in it."""

    workflow: str
    status: tuple[EndStatus, ...] = ("completed",)
    inputs: msgspec.Raw = NO_INPUTS


class Links(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ties the version of a definition to others: what it follows, and those that its nodes name and
    run."""

    version: int = 0
    after: tuple[After, ...] = ()
    runs: tuple[str, ...] = ()


NO_LINKS: Final = Links()
