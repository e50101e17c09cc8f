"""Answers that change seldom or never: a caller that has one is not sent it again (RFC 9110, 13.1.2).

Tags are weak, since an answer and its compressed form are other bytes and share one. Nothing here is asked
for by ranges or changed by `If-Match`, which would need strong ones.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response


def tagged_response(request: Request[Any, Any, Any], response: Response[bytes], tag: str) -> Response[bytes]:
    """The answer with its tag, or 304 without a body to a caller that has it."""
    quoted = f'"{tag}"'
    headers = {"ETag": f"W/{quoted}", "Cache-Control": "private, no-cache"}
    if is_known(request.headers.getall("if-none-match", []), quoted):
        headers["Vary"] = "Accept-Encoding"
        return Response(b"", status_code=304, headers=headers, media_type=response.media_type)
    response.headers.update(headers)
    return response


def is_known(sent: list[str], tag: str) -> bool:
    """Whether an If-None-Match says that the caller has what this tag names, weak or not."""
    tags = [each.strip() for value in sent for each in value.split(",")]
    return any(each.removeprefix("W/") in (tag, "*") for each in tags)
