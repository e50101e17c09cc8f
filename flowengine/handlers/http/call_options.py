"""What one call may ask of the shared clients besides its request: more of an answer, the operator's service.

The options travel as an extension of the httpx request, and so along its redirects. Needs no HTTP library.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

EXTENSION: Final = "flowengine"

Origin: TypeAlias = tuple[str, int]
"""A host as it is connected to, in lower case, and a port."""


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`silence_s` is how long the service may send nothing. None of each: as for any other call.

    `max_bytes` and `max_pieces` bound the body. `own_service` is an address that the operator has named, so
    that FLOWENGINE_EGRESS does not apply to it; the addresses that are always refused still are.
    """

    silence_s: float | None = None
    max_bytes: int | None = None
    max_pieces: int | None = None
    own_service: Origin | None = None


NO_OPTIONS: Final = CallOptions()
