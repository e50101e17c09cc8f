"""The stages of an execution: its main nodes, then what runs once these have ended (LANGUAGE sections 2, 5).

The nodes of all stages stand in one plan, one stage after the other. Nodes depend on nodes of their own stage
only.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Stage: TypeAlias = Literal["main", "outputs", "on_failure", "finally"]

HOOKS: Final[tuple[Stage, ...]] = ("on_failure", "finally")
"""The stages after the verdict, by the names of their lists in the document."""

OUTPUTS_NODE: Final = "$outputs"
"""The node that computes the outputs. No node of a document can be called so."""

DEFAULT_HOOKS_TIMEOUT_MS: Final = 3_600_000


class Stages(msgspec.Struct, frozen=True, array_like=True, rename={"finally_": "finally"}):
    """How many of a plan's last nodes belong to each stage after the main one, in this order.

    `hooks_timeout_ms`: how long `on_failure` and `finally` may take together.
    """

    outputs: int = 0
    on_failure: int = 0
    finally_: int = 0
    hooks_timeout_ms: int = DEFAULT_HOOKS_TIMEOUT_MS

    @property
    def count(self) -> int:
        """How many nodes are not main ones."""
        return self.outputs + self.on_failure + self.finally_

    @property
    def has_hooks(self) -> bool:
        """Whether something runs after the verdict."""
        return bool(self.on_failure or self.finally_)


MAIN_ONLY: Final = Stages()


def is_hook(stage: Stage) -> bool:
    """Whether the stage comes after the verdict."""
    return stage in HOOKS
