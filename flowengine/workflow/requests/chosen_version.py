"""By which version of its definition an execution is made anew."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

ORIGINAL: Final = "original"
LATEST: Final = "latest"

Version: TypeAlias = Literal["original", "latest"] | int
"""That of the execution, the newest, or the one with this number."""
