"""What a node's trigger rule says, by how the nodes that it depends on have ended: LANGUAGE section 3.

Pure arithmetic on numbers: knows no records and no graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.workflow.policy import TriggerRule

Ruling: TypeAlias = Literal["run", "fail", "skip"]


class Ends(msgspec.Struct, frozen=True):
    """How many of a node's dependencies have completed, failed tolerated, failed, were skipped, were
    cancelled, and have not ended.

    `failed` also counts those that failed at once and are not settled; they count in `left` too.
    """

    completed: int = 0
    tolerated: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    left: int = 0

    @property
    def ran(self) -> int:
        """Those after which an `all_success` node runs."""
        return self.completed + self.tolerated


def _all_success(ends: Ends) -> Ruling:
    return "fail" if ends.failed else "skip" if ends.skipped else "run"


def _none_failed(ends: Ends) -> Ruling:
    return "fail" if ends.failed else "run"


def _none_failed_min_one_success(ends: Ends) -> Ruling:
    return "fail" if ends.failed else "run" if ends.ran else "skip"


def _all_done_min_one_success(ends: Ends) -> Ruling:
    return "run" if ends.ran else "fail" if ends.failed else "skip"


def _one_success(ends: Ends) -> Ruling:
    return "run" if ends.completed else "fail" if ends.failed or ends.tolerated else "skip"


def _all_done(ends: Ends) -> Ruling:
    return "run"


def _one_failed(ends: Ends) -> Ruling:
    return "run" if ends.failed else "skip"


def _all_failed(ends: Ends) -> Ruling:
    return "run" if ends.failed and not ends.ran and not ends.skipped else "skip"


_WHEN_ALL_HAVE_ENDED: Final[Mapping[TriggerRule, Callable[[Ends], Ruling]]] = MappingProxyType(
    {
        "all_success": _all_success,
        "none_failed": _none_failed,
        "none_failed_min_one_success": _none_failed_min_one_success,
        "all_done_min_one_success": _all_done_min_one_success,
        "one_success": _one_success,
        "all_done": _all_done,
        "one_failed": _one_failed,
        "all_failed": _all_failed,
    }
)


def ruling(rule: TriggerRule, ends: Ends) -> Ruling | None:
    """What becomes of a node; None while that is open.

    `all_success` fails at once and `one_success` runs at once. Everything else is decided when all have
    ended. A cancelled dependency meets no rule.
    """
    if ends.cancelled:
        return None
    if rule == "all_success" and ends.failed:
        return "fail"
    if rule == "one_success" and ends.completed:
        return "run"
    return None if ends.left else _WHEN_ALL_HAVE_ENDED[rule](ends)


def ruling_after_completions(rule: TriggerRule, parents: int) -> Ruling:
    """What becomes of a node whose dependencies have all completed."""
    return "run" if rule == "all_success" else _WHEN_ALL_HAVE_ENDED[rule](Ends(completed=parents))
