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

WaitedFor: TypeAlias = WaitHandler | Literal["callback"]
"""What a node says that it waits for: by its handler, or by its `wait_for_callback`."""

DEFAULT_TIMEOUT_S: Final = 7 * 86_400
MIN_TIMEOUT_S: Final = 1
MAX_TIMEOUT_S: Final = 30 * 86_400


class WaitPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the node waits for, and for how long at most, in milliseconds.

    `names`: the signals, one of which it takes; `several`: its result says which. `schema`: the JSON Schema
    of what a signal carries, or a person adds to an approval, as JSON. `continues`: it completes, though
    nothing has come in time. `takes_rejections`: it completes, though a person has rejected. `url`: the base
    of the URL to which a callback comes.
    """

    kind: WaitedFor
    timeout_ms: int = DEFAULT_TIMEOUT_S * 1000
    names: tuple[str, ...] = ()
    several: bool = False
    schema: str | None = None
    continues: bool = False
    takes_rejections: bool = False
    url: str = ""
