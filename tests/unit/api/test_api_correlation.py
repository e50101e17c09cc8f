"""The correlation id: trusted or replaced, and on every response."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from flowengine.api.edge.correlation_id import choose_correlation_id
from tests.support.servers.served_api import ServedApi, served_api

GENERATED = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.mark.parametrize("value", ["a", "order 4711/x", "~" * 128])
def test_a_printable_id_is_kept(value: str) -> None:
    """1 to 128 printable ASCII characters are the caller's own business."""
    assert choose_correlation_id([(b"x-correlation-id", value.encode())]) == value


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"a" * 129, b"a\r\nX-Evil: 1", b"a\nb", b"a\x00", b"a\x7f", b"\xc3\xa9", b" a", b"a\t"],
)
def test_an_invalid_id_is_replaced(value: bytes) -> None:
    """Too long, empty, control or non-ASCII characters: never trusted, never repaired."""
    assert GENERATED.fullmatch(choose_correlation_id([(b"x-correlation-id", value)]))


def test_two_ids_are_replaced_by_one() -> None:
    """Which of two is meant cannot be known."""
    assert GENERATED.fullmatch(
        choose_correlation_id([(b"x-correlation-id", b"a"), (b"x-correlation-id", b"b")])
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/nothing", 404),
        ("GET", "/workflows/unknown", 404),
        ("DELETE", "/workflow", 405),
        ("OPTIONS", "/workflow", 204),
        ("POST", "/workflow", 415),
        ("HEAD", "/docs", 200),
    ],
)
def test_every_response_carries_the_requests_id_once(
    api: ServedApi, method: str, path: str, status: int
) -> None:
    """The router, a guard or the handler may answer."""
    answer = api.client.request(method, path, headers={"X-Correlation-ID": "mine"})
    assert (answer.status_code, answer.headers.get_list("x-correlation-id")) == (status, ["mine"])


def test_413_and_500_carry_it_too(api: ServedApi) -> None:
    """Refusals in the middle of a body, and errors nobody expected."""
    too_large = api.client.post(
        "/workflow",
        content=b"#" * (3 * 1024 * 1024),
        headers={"Content-Type": "text/yaml", "X-Correlation-ID": "mine"},
    )
    api.store.broken = RuntimeError("boom")
    try:
        failed = api.client.get("/workflows/x", headers={"X-Correlation-ID": "mine"})
    finally:
        api.store.broken = None
    for answer, status in ((too_large, 413), (failed, 500)):
        assert (answer.status_code, answer.headers["x-correlation-id"]) == (status, "mine")


def test_without_one_each_request_gets_a_new_id(api: ServedApi) -> None:
    """Generated ids differ."""
    ids = {api.client.get("/health").headers["x-correlation-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(GENERATED.fullmatch(found) for found in ids)


def test_a_line_break_in_the_header_forges_nothing(api: ServedApi) -> None:
    """An obsolete folded header and a bare LF end in a refusal or in a new id."""
    for value in (b"a\r\n X-Evil: 1", b"a\nX-Evil: 1", b"a\rX-Evil: 1"):
        answer = api.send_raw(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Correlation-ID: "
            + value
            + b"\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
        assert b"\r\nx-evil" not in answer.lower()
