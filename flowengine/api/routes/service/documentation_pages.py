"""`/docs`: Swagger UI from files beside this code, the OpenAPI document it shows, and schemas for editors.

Works without internet: the page names nothing outside this service, and its policy forbids the browser
to load anything else. It can be read without a key; the calls that it makes need one (Authorize).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.current_keys import CurrentKeys
from flowengine.api.access.key_guard import NEEDS_NO_KEY
from flowengine.api.compression.kept_answers import keep
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.api.edge.problem_documents import RefusalError

FOLDER: Final = Path(__file__).parents[2] / "swagger_ui"
"""Swagger UI's files; README.md there says where they are from."""

_FILES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_START: Final = b"""\
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null,
    tryItOutEnabled: true, displayRequestDuration: true, defaultModelsExpandDepth: 0,
  });
});
"""
_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M4 4L12 8L4 12' fill='none' stroke='%232563eb' stroke-width='2'/%3E"
    "%3Cg fill='%232563eb'%3E%3Ccircle cx='4' cy='4' r='2.5'/%3E%3Ccircle cx='12' cy='8' r='2.5'/%3E"
    "%3Ccircle cx='4' cy='12' r='2.5'/%3E%3C/g%3E%3C/svg%3E"
)
_PAGE: Final = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>FlowEngine API</title>
<link rel="icon" href="{_ICON}">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<nav style="font: 14px sans-serif; padding: 12px 20px 0"><a href="/ui">FlowEngine's web page</a></nav>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
""".encode()
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def documentation_routes(
    document: Callable[[bool], bytes],
    schemas: Mapping[str, Callable[[], object]],
    keys: CurrentKeys,
    calls: BlockingCalls,
) -> list[HTTPRouteHandler]:
    """The page, its files, the OpenAPI document and the `schemas` for editors, by their files' names. All are
    made when first asked for, and kept."""
    read = cache(lambda file: keep((FOLDER / file).read_bytes(), _FILES[file]))
    schema = cache(lambda file: keep(msgspec.json.encode(schemas[file]()), "application/schema+json"))
    built = cache(lambda asks: keep(document(asks), "application/json"))

    @get("/", opt={NEEDS_NO_KEY: True})
    async def show_root() -> Response[bytes]:
        return Response(b"", status_code=307, headers={"Location": "/ui"}, media_type="text/plain")

    @get("/docs", opt={NEEDS_NO_KEY: True})
    async def show_docs() -> Response[bytes]:
        return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    @get("/docs/{file:str}", opt={NEEDS_NO_KEY: True})
    async def show_docs_file(request: Request[Any, Any, Any], file: FromPath[str]) -> Response[bytes]:
        if file == "start.js":
            return Response(_START, media_type=_FILES["swagger-ui-bundle.js"])
        if file in schemas:
            return (await calls.check(lambda: schema(file))).response(request, {"Cache-Control": "no-cache"})
        if file not in _FILES:
            raise RefusalError("route_not_found")
        kept = await calls.check(lambda: read(file))
        return kept.response(request, {"Cache-Control": "private, max-age=3600"})

    @get("/openapi.json", opt={NEEDS_NO_KEY: True})
    async def show_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        asks = keys.asks_now
        return (await calls.check(lambda: built(asks))).response(request)

    return [show_root, show_docs, show_docs_file, show_openapi]
