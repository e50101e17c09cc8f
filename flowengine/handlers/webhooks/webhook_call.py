"""One signed POST of results. Whatever the receiver does, it is over in 15 s and takes little memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flowengine.engine.delivering.ports import Answered, Outgoing
from flowengine.handlers.http.network import network_deadline
from flowengine.handlers.secrets.shown_text import CUT, Redactor, redacting
from flowengine.handlers.webhooks.signature import signed_headers
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    import httpx

CALL_S: Final = 15.0
CONNECT_S: Final = 10.0
READ_BYTES: Final = 1024
SHOWN_CHARS: Final = 200
NO_KEY: Final = "this worker has no FLOWENGINE_WEBHOOK_KEY to sign with: set it as the API's"


class WebhookCall:
    """Implements `flowengine.engine.delivering.ports.Caller`. `http` gives the process's shared client, which
    keeps the egress rules. `key`: None where none is set."""

    def __init__(self, http: Callable[[], httpx.Client], key: str | None, redact: Redactor) -> None:
        self._http = http
        self._key = key
        self._redact = redact

    def __call__(self, outgoing: Outgoing) -> Answered:
        """Send it, and follow no redirect."""
        if self._key is None:
            return Answered(None, NO_KEY, 0)
        began = time.monotonic()
        with redacting(self._redact), network_deadline.until(began + CALL_S):
            status_code, error, retry_after_ms = self._post(outgoing, self._key)
        if error is not None:
            error = self._shown(error)
        return Answered(status_code, error, round((time.monotonic() - began) * 1000), retry_after_ms)

    def _post(self, outgoing: Outgoing, key: str) -> tuple[int | None, str | None, int | None]:
        import httpx

        from flowengine.handlers.http.exchange import failure_of

        headers = {
            **signed_headers(key, outgoing.webhook_id, outgoing.at // 1000, outgoing.body),
            "Content-Type": "application/json",
        }
        timeout = httpx.Timeout(CALL_S, connect=CONNECT_S)
        try:
            client = self._http()
            request = client.build_request(
                "POST", outgoing.url, headers=headers, content=outgoing.body, timeout=timeout
            )
            response = client.send(request, stream=True)
            try:
                return _read(response)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, failure_of(error, outgoing.url).message, None

    def _shown(self, error: str) -> str:
        text = plain_text(self._redact(error))
        return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + CUT


def _read(response: httpx.Response) -> tuple[int, str | None, int | None]:
    """The status, what is wrong with it, and for how long the receiver asks to wait."""
    from flowengine.handlers.http.retry_waits import http_date, retry_after_seconds

    status = response.status_code
    if response.is_success:
        return status, None, None
    now = http_date(response.headers.get("date")) or datetime.now(UTC)
    asked_s = retry_after_seconds(response.headers.get("retry-after"), now=now)
    said = _beginning(response)
    error = f"the receiver answered {status}" + (f": {said}" if said else "")
    if response.is_redirect:
        error = f"the receiver answered {status}; redirects are not followed: name the address it leads to"
    return status, error, None if asked_s is None else round(asked_s * 1000)


def _beginning(response: httpx.Response) -> str:
    """The beginning of the body, as text. Never fails: the status is what counts."""
    import httpx

    body = bytearray()
    try:
        for piece in response.iter_bytes():
            body += piece
            if len(body) >= READ_BYTES:
                break
    except httpx.HTTPError:
        pass
    return bytes(body[:READ_BYTES]).decode(errors="replace").strip()
