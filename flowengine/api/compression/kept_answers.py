"""Answers that stay the same while the process runs: compressed once, and kept in both forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response

from flowengine.api.compression.gzip_coding import admits_gzip, gzip_to_keep, shrinks

_CODED = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


class KeptAnswer(msgspec.Struct, frozen=True):
    """An answer. `gzipped`: None where that is not worth it."""

    data: bytes
    media_type: str
    gzipped: bytes | None

    def response(
        self, request: Request[Any, Any, Any], headers: Mapping[str, str] | None = None
    ) -> Response[bytes]:
        """The form that this caller asks for, with these headers."""
        if self.gzipped is None or not admits_gzip(request.scope["headers"]):
            return Response(self.data, headers=headers, media_type=self.media_type)
        return Response(self.gzipped, headers={**(headers or {}), **_CODED}, media_type=self.media_type)


def keep(data: bytes, media_type: str) -> KeptAnswer:
    """Compress it, which may take a tenth of a second for a megabyte."""
    gzipped = gzip_to_keep(data) if shrinks(media_type, len(data)) else None
    return KeptAnswer(data, media_type, gzipped)
