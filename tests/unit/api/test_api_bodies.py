"""Hostile bodies and headers, on raw connections: each refused, the server alive, its memory bounded."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from flowengine.api.edge import request_bodies as bodies
from flowengine.settings import Limits, Settings
from tests.support.servers.served_api import ServedApi, read_answer, served_api
from tests.support.waiting import wait_until

HUNDRED_MB = 100 * 1024 * 1024
LIMITS = Limits()


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture(autouse=True)
def nothing_is_stored(api: ServedApi) -> Iterator[None]:
    before = len(api.store.stored)
    yield
    assert len(api.store.stored) == before
    assert api.client.get("/health").status_code == 200


def post(api: ServedApi, body: bytes, media_type: str, **headers: str) -> httpx.Response:
    return api.client.post("/workflow", content=body, headers={"Content-Type": media_type, **headers})


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def stream(api: ServedApi, head: str, chunk: bytes, total: int) -> bytes:
    """Send `total` bytes for as long as the server listens; returns its answer."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(head.encode())
        sent = 0
        try:
            while sent < total:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        return read_answer(connection)


HEAD = "POST /workflow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_a_declared_length_over_the_limit_is_refused_before_the_body(api: ServedApi) -> None:
    """413 without waiting for, or reading, a single byte of 100 MB."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(f"{HEAD}Content-Length: {HUNDRED_MB}\r\nExpect: 100-continue\r\n\r\n".encode())
        answer = read_answer(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert str(LIMITS.max_body_bytes).encode() in answer


def test_a_body_without_length_is_cut_at_the_limit(api: ServedApi) -> None:
    """100 MB in chunks: 413, and the process has not grown by what was sent."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = stream(api, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", chunk, HUNDRED_MB)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.proves("large-bodies")
def test_many_large_bodies_at_once_share_a_budget(api: ServedApi) -> None:
    """What does not fit beside the others is told to come again; once they are gone it fits."""
    part = b" " * (LIMITS.max_body_bytes - 1)
    answers: list[httpx.Response] = []
    with contextlib.ExitStack() as stack:

        def is_full_with_one_more() -> bool:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=10))
            connection.sendall(f"{HEAD}Content-Length: {LIMITS.max_body_bytes}\r\n\r\n".encode() + part)
            answers.append(post(api, part, "application/json"))
            return answers[-1].status_code == 503

        wait_until(is_full_with_one_more, within_s=10)
        assert len(answers) >= 4
        assert code_of(answers[-1]) == (503, "too_busy")
        assert answers[-1].headers["retry-after"] == "1"
        assert code_of(post(api, b"{", "application/json")) == (400, "malformed_document")
    wait_until(lambda: post(api, part, "application/json").status_code == 400, within_s=10)


@pytest.mark.proves("endless-bodies")
def test_large_bodies_that_do_not_come_to_an_end_keep_no_small_one_out(api: ServedApi) -> None:
    """While large ones use up the budget, one of up to 64 KiB is still read."""
    beyond_small = b" " * (64 * 1024 + 1)
    with contextlib.ExitStack() as stack:

        def hold(size: int) -> None:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=10))
            connection.sendall(f"{HEAD}Content-Length: {size + 1}\r\n\r\n".encode() + b" " * size)

        def is_full_with_one_more() -> bool:
            hold(len(beyond_small))
            return post(api, beyond_small, "application/json").status_code == 503

        for _ in range(5):
            hold(LIMITS.max_body_bytes - 1)
        hold(bodies.BUDGET_BYTES - 5 * LIMITS.max_body_bytes - 8 * len(beyond_small))
        wait_until(is_full_with_one_more, within_s=20)
        assert code_of(post(api, beyond_small[1:], "application/json")) == (400, "malformed_document")
    wait_until(lambda: post(api, beyond_small, "application/json").status_code == 400, within_s=10)


def test_more_bytes_than_declared_are_no_part_of_the_body(api: ServedApi) -> None:
    """A length that is too small ends the body there; the rest is no valid request."""
    answer = stream(api, f"{HEAD}Content-Length: 2\r\n\r\n", b"{}" + b" " * 65536, 1)
    assert answer.startswith((b"HTTP/1.1 422 ", b"HTTP/1.1 400 "))


def test_yaml_has_a_limit_of_its_own(api: ServedApi) -> None:
    """A body that JSON may have is too large for YAML."""
    body = b"#" * (LIMITS.max_yaml_bytes + 1)
    assert code_of(post(api, body, "application/yaml")) == (413, "body_too_large")
    assert code_of(post(api, body, "application/json")) == (400, "malformed_document")


def test_a_body_that_stops_arriving_is_given_up(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """408 when the promised bytes do not come."""
    original = bodies.read_document
    monkeypatch.setattr(
        "flowengine.api.routes.executions.workflow_body.read_document",
        lambda request, limits, share: original(request, limits, share, arrival_s=0.2),
    )
    answer = stream(api, f"{HEAD}Content-Length: 100\r\n\r\n", b"{", 1)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b"[" * 60_000),
        ("application/yaml", b"[" * 60_000),
        ("application/json", b'{"a":' * 100_000),
        ("application/json", b'{"name": "\xff\xfe", "nodes": []}'),
        ("application/yaml", b"name: \xff\xfe\n"),
        ("application/yaml", b"name: a\x00b\n"),
        ("application/json", b'{"name": "a\x00b"}'),
        ("application/json", b'{"name": NaN}'),
        ("application/yaml", b"a: &x [1]\nb: *x\n"),
    ],
    ids=["brackets", "yaml-brackets", "depth", "utf8", "yaml-utf8", "yaml-nul", "nul", "nan", "alias"],
)
def test_what_no_parser_should_take_is_malformed(api: ServedApi, media_type: str, body: bytes) -> None:
    """400, and the process is still there."""
    assert code_of(post(api, body, media_type)) == (400, "malformed_document")


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "", "multipart/form-data", "application/json; charset=utf-16", "json", "a" * 9000],
    ids=["text", "none", "form", "utf-16", "json", "long"],
)
def test_other_media_types_are_refused_and_the_accepted_named(api: ServedApi, media_type: str) -> None:
    """415 says what to send instead."""
    answer = post(api, b'{"name": "x", "nodes": []}', media_type)
    assert code_of(answer) == (415, "unsupported_media_type")
    assert "application/yaml" in answer.text or "utf-8" in answer.text


def test_a_compressed_body_is_refused(api: ServedApi) -> None:
    """Nothing is decompressed, so nothing can explode."""
    answer = post(api, b"x", "application/json", **{"Content-Encoding": "gzip"})
    assert code_of(answer) == (415, "unsupported_media_type")


def test_two_content_types_are_refused(api: ServedApi) -> None:
    """Which of two would be meant cannot be known."""
    request = f"{HEAD}Content-Type: text/yaml\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    assert api.send_raw(request.encode()).startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(
    "headers",
    [
        b"X-A: " + b"a" * 200_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % number for number in range(20_000)),
        b"Bad Header\r\n",
        b"X-A: a\x00b\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
    ],
    ids=["huge", "many", "no-colon", "nul", "two-lengths", "negative-length"],
)
def test_malformed_or_huge_headers_are_refused_by_the_server(api: ServedApi, headers: bytes) -> None:
    """400 or 431 or a closed connection; headers are bounded at 64 KiB."""
    try:
        answer = api.send_raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")
    except OSError:
        return
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.proves("two-framings")
@pytest.mark.parametrize("target", ["POST /workflow", "POST /workflow/trigger/x1", "GET /health"])
@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        ("1.1", "transfer-encoding:CHUNKED\r\ncontent-length:4\r\nConnection: keep-alive\r\n"),
        ("1.0", "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n"),
        ("1.0", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
    ],
)
def test_two_framings_are_refused_and_the_connection_ends(
    api: ServedApi, target: str, version: str, headers: str
) -> None:
    """A proxy may have seen another end of the body: what follows is not taken for a request."""
    head = f"{target} HTTP/{version}\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n"
    answer = api.send_raw(head.encode() + b"0\r\n\r\n" + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"bad_request"' in answer
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ("Host: localhost\r\nHost: localhost\r\n", "one Host header"),
        ("Host: localhost\r\nhost: other.test\r\n", "one Host header"),
        ("Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n", "is chunked"),
        ("Host: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "bad_request"),
    ],
)
def test_a_head_that_no_server_may_take_is_refused(api: ServedApi, headers: str, reason: str) -> None:
    """A proxy may have gone by another of two hosts, or decoded the body (RFC 9112, 3.2 and 6.1)."""
    answer = api.send_raw(f"POST /workflow HTTP/1.1\r\n{headers}\r\n".encode() + b"0\r\n\r\n" + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert reason.encode() in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_one_framing_keeps_the_connection(api: ServedApi) -> None:
    """Chunks alone, or a length alone, and the next request on the same connection."""
    for framing in ("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "Content-Length: 2\r\n\r\n{}"):
        answer = api.send_raw(
            f"{HEAD}{framing}GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 422 ")
        assert answer.count(b"HTTP/1.1 ") == 2


def test_a_caller_who_leaves_in_the_middle_harms_nobody(api: ServedApi) -> None:
    """A connection closed within the body is forgotten."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(f"{HEAD}Content-Length: 100\r\n\r\n{{".encode())
    assert api.client.get("/health").status_code == 200


def test_large_bodies_at_once_are_all_answered() -> None:
    """Eight bodies of 4 MB at the same time: each gets its 413, no thread is lost."""
    with served_api(Settings(limits=Limits(max_body_bytes=1024 * 1024))) as api:
        answers: list[int] = []

        def send() -> None:
            answer = httpx.post(
                f"http://127.0.0.1:{api.port}/workflow",
                content=(b" " * 65536 for _ in range(64)),
                headers={"Content-Type": "application/json"},
                trust_env=False,
            )
            answers.append(answer.status_code)

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert answers == [413] * 8
