"""`/ui`: the web page. Its address below `/ui` is for its own script; the files lie below `/ui/static`.

Open without a key: the page holds nothing but itself, and each call that it makes needs a session.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_NO_KEY
from flowengine.api.compression.kept_answers import KeptAnswer, keep
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.api.edge.entity_tags import tagged_response
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.ui import MEDIA_TYPES, served_files

_START: Final = "index.html"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No inline script or style, nothing from elsewhere."""


class _File(NamedTuple):
    answer: KeptAnswer
    tag: str


def page_routes(calls: BlockingCalls) -> list[HTTPRouteHandler]:
    """The page and its files, which are read and compressed when first asked for."""
    files = cache(_read)

    async def answer(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
        found = (await calls.check(files)).get(name)
        if found is None:
            raise RefusalError("route_not_found")
        response = tagged_response(request, found.answer.response(request), found.tag)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @get(["/ui", "/ui/{place:path}"], opt={NEEDS_NO_KEY: True})
    async def show_page(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await answer(request, _START)

    @get("/ui/static/{file:path}", opt={NEEDS_NO_KEY: True})
    async def show_page_file(request: Request[Any, Any, Any], file: FromPath[str]) -> Response[bytes]:
        return await answer(request, file.lstrip("/"))

    return [show_page, show_page_file]


def _read() -> dict[str, _File]:
    found = {}
    for name, path in served_files().items():
        data = path.read_bytes()
        found[name] = _File(keep(data, MEDIA_TYPES[path.suffix]), sha256(data).hexdigest()[:16])
    return found
