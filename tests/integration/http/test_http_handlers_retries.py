"""What is tried again, how often, after how long, and when the node's time is over."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError, HandlerTimeoutError
from tests.support.rigs.handler_runs import Runs
from tests.support.servers.http_server import HttpServer, Reply, json_reply
from tests.support.servers.raw_answers import answering
from tests.support.servers.valkey import free_port


def failure(
    runs: Runs, url: str, *, timeout_s: float = 10.0, environment: dict[str, str] | None = None
) -> HandlerError:
    """What a call fails with."""
    with pytest.raises(HandlerError) as caught:
        runs.run("http_request", {"url": url}, timeout_s=timeout_s, environment=environment)
    return caught.value


def test_retry_after_two_seconds_is_honoured(runs: Runs, server: HttpServer) -> None:
    """429 with `Retry-After: 2`, then 200: one retry, no sooner than 2 s."""
    server.answers("/x", Reply(status=429, headers={"Retry-After": "2"}), json_reply({"ok": True}))
    assert runs.run("http_request", {"url": server.url("/x")})["data"] == {"ok": True}
    first, second = server.called("/x")
    assert 2.0 <= second.at - first.at < 8.0
    assert ("http.retried", {"request": f"GET {server.url('/x')}", "attempts": 2}) in runs.log.events


def test_retry_after_a_date_is_measured_on_the_servers_clock(runs: Runs, server: HttpServer) -> None:
    """A server whose clock is a day ahead and that asks for one second gets one second."""
    ahead = datetime.now(UTC) + timedelta(days=1)
    headers = {
        "Retry-After": format_datetime(ahead + timedelta(seconds=1), usegmt=True),
        "Date": format_datetime(ahead, usegmt=True),
    }
    server.answers("/x", Reply(status=503, headers=headers), json_reply({}))
    runs.run("http_request", {"url": server.url("/x")})
    first, second = server.called("/x")
    assert 0.9 <= second.at - first.at < 8.0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 409, 425, 429])
def test_three_refusals_fail_the_node(runs: Runs, server: HttpServer, status: int) -> None:
    """After three attempts, each of which is kept with its error and its time."""
    server.answers("/x", Reply(status=status, body=b"out of\norder"))
    found = failure(runs, server.url("/x"))
    assert server.count("/x") == 3
    assert found.code == ("http_client_error" if status < 500 else "http_server_error")
    assert f"GET {server.url('/x')}: answered {status}" in found.message
    assert found.message.endswith("(3 attempts)")
    assert [error.code for error in found.errors] == [found.code] * 3
    assert all(error.message.endswith(": out of order") for error in found.errors)
    times = [error.after_s for error in found.errors if error.after_s is not None]
    assert times == sorted(times)
    assert len(times) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
def test_other_refusals_fail_at_once(runs: Runs, server: HttpServer, status: int) -> None:
    """A second try would be refused as well."""
    server.answers("/x", Reply(status=status))
    found = failure(runs, server.url("/x"))
    assert server.count("/x") == 1
    assert found.code == ("http_client_error" if status < 500 else "http_server_error")
    assert len(found.errors) == 1
    assert "attempt" not in found.message


def test_a_service_that_recovers_is_asked_until_it_does(runs: Runs, server: HttpServer) -> None:
    """The idempotency key is the same each time."""
    server.answers("/x", Reply(status=500), Reply(cut=True), json_reply({"ok": True}))
    assert runs.run("http_request", {"url": server.url("/x"), "method": "POST"})["data"] == {"ok": True}
    assert {call.headers["idempotency-key"] for call in server.called("/x")} == {"x1/call/1"}
    assert server.count("/x") == 3


def test_connection_refused_is_tried_three_times(runs: Runs) -> None:
    """And the error says so."""
    found = failure(runs, f"http://127.0.0.1:{free_port()}/x?secret=1")
    assert found.code == "connection_failed"
    assert [error.code for error in found.errors] == ["connection_failed"] * 3
    assert "Connection refused" in found.message
    assert "secret" not in found.message


@pytest.mark.parametrize(
    "reply", [Reply(cut=True), Reply(body=b"half", announced=99)], ids=["no answer", "half an answer"]
)
def test_a_broken_connection_is_tried_three_times(runs: Runs, server: HttpServer, reply: Reply) -> None:
    """Whether it breaks before the answer or within it."""
    server.answers("/x", reply)
    assert failure(runs, server.url("/x")).code == "connection_failed"
    assert server.count("/x") == 3


def test_a_name_that_does_not_resolve_is_a_connection_failure(runs: Runs) -> None:
    """`.invalid` never exists (RFC 2606)."""
    found = failure(runs, "http://no-such-host.invalid/")
    assert found.code == "connection_failed"
    assert "no-such-host.invalid" in found.message


def test_waits_double(runs: Runs, server: HttpServer) -> None:
    """The waits are one and two times the base, which is 0.2 s here."""
    server.answers("/x", Reply(status=500))
    failure(runs, server.url("/x"), environment={"FLOWENGINE_RETRY_BASE_SECONDS": "0.2"})
    first, second, third = (call.at for call in server.called("/x"))
    assert 0.2 <= second - first < 10
    assert 0.4 <= third - second < 10


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({}, "60 s"), ({"Retry-After": "120"}, "120 s"), ({"Retry-After": "9" * 9}, "11574 days")],
)
def test_a_wait_that_would_pass_the_deadline_is_not_begun(
    runs: Runs, server: HttpServer, headers: dict[str, str], wait: str
) -> None:
    """The node fails at once, and the error says how long the wait and the rest would have been."""
    server.answers("/x", Reply(status=503, headers=headers))
    started = time.monotonic()
    found = failure(
        runs, server.url("/x"), timeout_s=30.0, environment={"FLOWENGINE_RETRY_BASE_SECONDS": "60"}
    )
    assert time.monotonic() - started < 25
    assert server.count("/x") == 1
    assert found.code == "http_server_error"
    assert f"would have to wait {wait}, but only" in found.message
    assert "of the node's timeout_seconds are left" in found.message


def test_a_wait_that_the_service_asks_for_is_kept_if_the_time_allows(
    runs: Runs, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two minutes of a node's five, although our own waits end at 60 s."""
    waited: list[float] = []

    slept = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await slept(0 if seconds > 1 else seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    server.answers("/x", Reply(status=429, headers={"Retry-After": "120"}), json_reply({}))
    runs.run("http_request", {"url": server.url("/x")}, timeout_s=300)
    assert [round(wait) for wait in waited if wait > 1] == [120]


def test_milliseconds_are_waited_for(runs: Runs, server: HttpServer) -> None:
    """`retry-after-ms`, before `Retry-After`."""
    headers = {"Retry-After": "9", "retry-after-ms": "150"}
    server.answers("/x", Reply(status=429, headers=headers), json_reply({}))
    runs.run("http_request", {"url": server.url("/x")})
    first, second = server.called("/x")
    assert 0.15 <= second.at - first.at < 5


def test_a_header_that_comes_twice_is_heeded(runs: Runs) -> None:
    """Its longest wait counts, and would pass the deadline here."""
    head = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nRetry-After: 77\r\nContent-Length: 0\r\n\r\n"
    with answering(head) as url:
        assert "would have to wait 77 s" in failure(runs, url).message


def test_a_used_up_quota_fails_at_once_and_says_so(runs: Runs, server: HttpServer) -> None:
    """No waiting brings money back."""
    server.answers("/x", json_reply({"error": {"code": "insufficient_quota"}}, status=429))
    assert "a quota is used up (insufficient_quota)" in failure(runs, server.url("/x")).message
    assert server.count("/x") == 1


@pytest.mark.parametrize(
    "location", ["http://[::1/", "http://a.test:port/", "//", "http://", "https:///x", "http://\u00ad.test/"]
)
def test_an_invalid_location_fails_at_once(runs: Runs, server: HttpServer, location: str) -> None:
    """The service would answer the same again. Nothing of the address is quoted."""
    server.answers("/x", Reply(status=302, headers={"Location": location}))
    found = failure(runs, server.url("/x"))
    assert found.code in ("redirect_refused", "invalid_request", "connection_failed")
    assert server.count("/x") == 1
    assert len(found.errors) == 1
    assert "port" not in found.message


def overrun(runs: Runs, url: str, timeout_s: float) -> tuple[HandlerError, float]:
    """The failure of a call that never ends by itself, and the seconds beyond its time it took."""
    started = time.monotonic()
    found = failure(runs, url, timeout_s=timeout_s)
    return found, time.monotonic() - started - timeout_s


@pytest.mark.parametrize(
    "reply",
    [
        Reply(delay_s=30),
        Reply(body=b"x" * 1000, drip_s=0.1),
        Reply(body=b"x" * 1000, drip_s=0.1, drip_head=True),
        Reply(body=b"x" * 3, drip_s=1.5),
    ],
    ids=["silent", "slow body", "slow headers", "slower and slower"],
)
def test_no_server_can_hold_a_node_beyond_its_time(runs: Runs, server: HttpServer, reply: Reply) -> None:
    """Silent, or one byte at a time and so never silent for long: the deadline holds."""
    server.answers("/x", reply)
    found, beyond_s = overrun(runs, server.url("/x"), 3.0)
    assert isinstance(found, HandlerTimeoutError)
    assert found.code == "timeout"
    assert -0.05 < beyond_s < 15
    assert len(found.errors) == 1
    assert server.count("/x") == 1


def test_a_silent_host_does_not_hold_a_node_beyond_its_time(runs: Runs) -> None:
    """An address that drops everything (TEST-NET-1, RFC 5737) accepts no connection."""
    found, beyond_s = overrun(runs, "http://192.0.2.1/", 0.4)
    assert found.code in ("timeout", "connection_failed")
    assert beyond_s < 15


def test_a_slow_answer_within_the_time_is_fine(runs: Runs, server: HttpServer) -> None:
    """The first attempt may take most of a short timeout."""
    server.answers("/x", json_reply({"ok": 1}), Reply(delay_s=3.2, body=b"late"))
    runs.run("http_request", {"url": server.url("/x")}, timeout_s=6)
    output: dict[str, JsonValue] = runs.run("http_request", {"url": server.url("/x")}, timeout_s=6)
    assert output["data"] == "late"
