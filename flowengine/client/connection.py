"""How both clients reach a stack, and what they say where they do not."""

from __future__ import annotations

from typing import Final, TypedDict, TypeVar

import httpx

from flowengine import __version__
from flowengine.client.address import Address
from flowengine.client.call import Call
from flowengine.client.errors import UnreachableError

CONNECT_S: Final = 5.0

Answer = TypeVar("Answer")


class Options(TypedDict):
    """What an HTTP client is made with."""

    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    trust_env: bool
    follow_redirects: bool


def options(address: Address, timeout_s: float) -> Options:
    """The environment's proxies are for other machines only. A redirect would carry the key elsewhere."""
    return Options(
        base_url=address.url,
        headers={"User-Agent": f"flowengine/{__version__}", **address.headers},
        timeout=time_limits(timeout_s),
        trust_env=not address.is_local,
        follow_redirects=False,
    )


def time_limits(timeout_s: float, waits_s: float = 0.0) -> httpx.Timeout:
    """How long an answer may take that is held for so long."""
    return httpx.Timeout(timeout_s + waits_s, connect=min(CONNECT_S, timeout_s))


def unreachable(address: Address, call: Call[Answer], error: httpx.HTTPError) -> UnreachableError:
    """What is raised where a call has got no answer."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return UnreachableError(address.nobody_there)
    reason = str(error) or type(error).__name__
    return UnreachableError(
        f"{address.url} has not answered {call.method} {call.path}: {reason}.{_done(call)}"
    )


def is_to_be_repeated(call: Call[Answer], error: httpx.HTTPError) -> bool:
    """Whether a call is sent once more after this error: the connection broke, and it would be done once."""
    broke = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
    return _is_done_once(call) and broke and not isinstance(error, httpx.ConnectError)


def _is_done_once(call: Call[Answer]) -> bool:
    """Whether it is, however often it is sent."""
    return call.idempotency_key is not None or call.method == "PUT"


def _done(call: Call[Answer]) -> str:
    """What is known of a call without an answer."""
    if call.method == "GET":
        return ""
    done = " It may have been done, or may still be"
    if not _is_done_once(call):
        return f"{done}: look before you repeat it."
    if call.idempotency_key is None:
        return f"{done}. Repeated it is done once."
    return f"{done}. Repeated with idempotency_key={call.idempotency_key!r} it is done once."
