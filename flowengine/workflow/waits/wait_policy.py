"""What a node says that waits: for a time, a signal or a decision. Pure data, a part of its policy."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import msgspec

WaitHandler: TypeAlias = Literal["wait", "signal", "approval"]
"""The handlers whose nodes wait once they have run."""

WAIT_HANDLERS: Final[Mapping[str, WaitHandler]] = MappingProxyType(
    {name: name for name in get_args(WaitHandler)}
)

DEFAULT_TIMEOUT_S: Final = 7 * 86_400
MIN_TIMEOUT_S: Final = 1
MAX_TIMEOUT_S: Final = 30 * 86_400


class WaitPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """For how long the node waits at most, in milliseconds."""

    kind: WaitHandler
    timeout_ms: int = DEFAULT_TIMEOUT_S * 1000
