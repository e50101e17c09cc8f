"""What is stored of the executions that an end has started, and of what one was started by. Pure data."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.workflow.chains.declared import EndStatus


class Follower(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the end of a `run` has brought about for a definition that follows: the `execution` that it has
    started, or the `code` and the `message` of why there is none. `statuses`: the ends that it was to follow,
    which start it once. `at`: in milliseconds since the epoch."""

    name: str
    statuses: tuple[EndStatus, ...]
    run: int
    at: int
    execution: str | None = None
    code: str | None = None
    message: str | None = None


class Followed(msgspec.Struct, frozen=True):
    """The end that has started an execution: of the `execution` of the definition `workflow`, as `status`."""

    execution: str
    workflow: str
    status: EndStatus


_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(tuple[Follower, ...])


def encode_followers(followers: tuple[Follower, ...]) -> bytes:
    """What ends have started, as it is stored."""
    return _encode(followers)


def decode_followers(data: bytes) -> tuple[Follower, ...]:
    """What `encode_followers` wrote."""
    return _decoder.decode(data)
