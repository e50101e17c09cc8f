"""How soon the nodes of an execution run beside those of others. Pure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Priority: TypeAlias = Literal["high", "normal", "low"]
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
NORMAL: Final[Priority] = "normal"
