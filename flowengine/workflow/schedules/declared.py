"""What a document says of a schedule, as it is stored (LANGUAGE section 9). Pure data."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

FIELD: Final = "schedules"
MAX_SCHEDULES: Final = 100
MAX_ID_CHARS: Final = 63
DEFAULT_ID: Final = "default"
MIN_EVERY_S: Final = 1
MAX_EVERY_S: Final = 366 * 86_400
MAX_CRON_CHARS: Final = 500

CatchUp: TypeAlias = Literal["none", "latest", "all"]
"""What becomes of times that were missed: none of them starts an execution, the latest does, all do."""
CATCH_UP: Final[tuple[CatchUp, ...]] = get_args(CatchUp)

Overlap: TypeAlias = Literal["skip", "queue", "allow", "cancel_running"]
"""What becomes of a time while an execution of the same schedule has not ended: it is left out, the newest
one waits, it starts, or the newest one waits and what runs is cancelled."""
OVERLAP: Final[tuple[Overlap, ...]] = get_args(Overlap)

NO_INPUTS: Final = msgspec.Raw(b"{}")

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Words for cron expressions."""


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """When executions of a definition start by themselves: at the times of `cron` in a time zone, or every so
    many seconds; the other one is empty.

    `inputs`: what each of them is given, JSON with templates in it. `paused`: it starts none until somebody
    resumes it.
    """

    id: str = DEFAULT_ID
    cron: str = ""
    every_s: int = 0
    timezone: str = "UTC"
    inputs: msgspec.Raw = NO_INPUTS
    catch_up: CatchUp = "latest"
    overlap: Overlap = "skip"
    paused: bool = False

    @property
    def expression(self) -> str:
        """Its five fields."""
        return MACROS.get(self.cron.lower(), self.cron)

    @property
    def timing(self) -> tuple[str, int, str]:
        """What its times depend on."""
        return (self.expression, self.every_s, self.timezone)
