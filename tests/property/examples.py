"""How many examples a test tries: a share of what the profile asks for, so that long runs lengthen all."""

from __future__ import annotations

from hypothesis import settings


def share_of_examples(percent: int) -> int:
    """So many of each hundred examples that the profile asks for."""
    return max(1, settings().max_examples * percent // 100)
