"""How much may come over a connection before an answer begins.

A server may send interim answers (1xx, RFC 9110 section 15.2) before the real one. h11 bounds the head
of each, nobody bounds their number: without a limit of our own they go on until the node's deadline.
Pure.
"""

from __future__ import annotations

from typing import Final

import httpcore

# h11 takes 100 KB for one head; the read in which the head ends may bring 64 KB of the body along.
MAX_HEAD_BYTES: Final = 512 * 1024


class HeadLimit:
    """What a connection's stream is, besides: it counts what comes between a request and its answer."""

    def __init__(self) -> None:
        self._left: int | None = MAX_HEAD_BYTES

    def expect_head(self) -> None:
        """A request is being sent: what comes next is the head of an answer."""
        self._left = MAX_HEAD_BYTES

    def end_head(self) -> None:
        """The head has come; what follows is the body, which others count."""
        self._left = None

    def counted(self, data: bytes) -> bytes:
        """`data`, as it is. Raises httpcore.RemoteProtocolError when the head does not end."""
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise httpcore.RemoteProtocolError(
                    f"more than {MAX_HEAD_BYTES} bytes came, but no answer, only 1xx ones or headers"
                )
        return data
