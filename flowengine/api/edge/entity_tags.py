"""Answers that change seldom or never: a caller that has one is not sent it again (RFC 9110, 13.1.2)."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response


def tagged_response(
    request: Request[Any, Any, Any], data: bytes, tag: str, media_type: str
) -> Response[bytes]:
    """The answer with its tag, or 304 without a body to a caller that has it."""
    quoted = f'"{tag}"'
    headers = {"ETag": quoted, "Cache-Control": "private, no-cache"}
    if is_known(request.headers.getall("if-none-match", []), quoted):
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    return Response(data, headers=headers, media_type=media_type)


def is_known(sent: list[str], tag: str) -> bool:
    """Whether an If-None-Match says that the caller has what this tag names."""
    tags = [each.strip() for value in sent for each in value.split(",")]
    return any(each.removeprefix("W/") in (tag, "*") for each in tags)
