"""Answers that are compressed: for whom, which, and that they are the same once unpacked."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from flowengine.api.compression import gzip_coding
from flowengine.api.compression.gzip_coding import LARGEST_PLAIN_BYTES, admits_gzip, gzip_once, shrinks
from flowengine.api.edge.large_body_memory import MemoryBudget
from flowengine.client import Client
from flowengine.settings import Limits, Settings
from tests.support.servers.served_api import ServedApi, served_api

GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}
WORKFLOW = {"name": "x", "nodes": [{"id": "a", "handler": "echo", "config": {}}]}
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def ask(
    api: ServedApi, path: str, headers: dict[str, str], method: str = "GET"
) -> tuple[httpx.Response, bytes]:
    """An answer, and its body as it was sent."""
    with api.client.stream(method, path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


def results_of(api: ServedApi, text: str) -> str:
    """The path of results that have this text."""
    created = api.client.post("/workflow", json=WORKFLOW).json()["execution_id"]
    return finished_with(api, created, text)


def finished_with(api: ServedApi, execution_id: str, text: str) -> str:
    """Ends an execution with this text; the path of its results."""
    api.store.finish(execution_id, {"a": msgspec.Raw(msgspec.json.encode(text))})
    return f"/workflows/{execution_id}/results"


@pytest.mark.parametrize(
    ("sent", "admitted"),
    [
        (("gzip",), True),
        (("GZIP",), True),
        (("x-gzip",), True),
        (("gzip, deflate, br, zstd",), True),
        (("br", "gzip"), True),
        (("*",), True),
        (("gzip;q=0.001",), True),
        (("gzip ; q=1.0, identity;q=0.5",), True),
        (("identity, *;q=1",), True),
        ((), False),
        (("",), False),
        (("deflate, br",), False),
        (("notgzip, gzipped",), False),
        (("gzip;q=0",), False),
        (("gzip;q=0.000, *",), False),
        (("*;q=0",), False),
        (("gzip;q=0.5, identity",), False),
        (("gzip;q=much",), False),
        (("gzip;level=9",), False),
        (("br, " * 40 + "gzip",), False),
    ],
)
def test_a_caller_is_taken_at_their_word(sent: tuple[str, ...], admitted: bool) -> None:
    """By name, by `*`, by weight; what cannot be read asks for nothing."""
    headers = [(b"accept", b"gzip"), *((b"accept-encoding", value.encode()) for value in sent)]
    assert admits_gzip(headers) == admitted


@pytest.mark.parametrize(
    ("media_type", "is_text"),
    [
        ("application/json", True),
        ("application/problem+json", True),
        ("application/yaml", True),
        ("text/html; charset=utf-8", True),
        ("application/openmetrics-text; version=1.0.0", True),
        ("image/svg+xml", True),
        ("image/png", False),
        ("application/octet-stream", False),
        ("text/event-stream; charset=utf-8", False),
        ("", False),
    ],
)
def test_only_text_that_is_not_small_is_compressed(media_type: str, is_text: bool) -> None:
    """Images are compressed already; events must not be held back."""
    assert shrinks(media_type, LARGEST_PLAIN_BYTES + 1) == is_text
    assert not shrinks(media_type, LARGEST_PLAIN_BYTES)


@pytest.mark.parametrize("size", [1100, 60_000, 70_000, 2 * MEGABYTE])
def test_an_answer_is_the_same_once_unpacked(api: ServedApi, size: int) -> None:
    """Small, large, and larger than what is compressed at a time; its length is that of what is sent."""
    path = results_of(api, "".join(random.Random(size).choices("abcdefgh", k=size)))
    plain, body = ask(api, path, PLAIN)
    packed, sent = ask(api, path, GZIP)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(sent) == body
    assert len(sent) < len(body) * 0.6
    assert int(plain.headers["content-length"]) == len(body)
    assert int(packed.headers["content-length"]) == len(sent)
    for answer in (plain, packed):
        assert answer.headers.get_list("vary") == ["Accept-Encoding"]
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_our_client_asks_for_it_and_unpacks_it(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the tool, which is made of it."""
    packed: list[int] = []
    original = gzip_coding.gzip_once

    async def counted(body: bytes, *rest: Any) -> list[bytes] | None:
        packed.append(len(body))
        return await original(body, *rest)

    execution_id = results_of(api, "x" * 100_000).split("/")[2]
    monkeypatch.setattr("flowengine.api.edge.responses.gzip_once", counted)
    with Client(f"http://127.0.0.1:{api.port}") as client:
        results = client.results(execution_id).results
    assert msgspec.json.decode(results["a"]) == "x" * 100_000
    assert len(packed) == 1


def test_a_small_answer_is_sent_as_it_is(api: ServedApi) -> None:
    """1024 bytes are small, one more is not."""
    path = results_of(api, "")
    empty = len(ask(api, path, PLAIN)[1])
    for size, coding in ((LARGEST_PLAIN_BYTES, None), (LARGEST_PLAIN_BYTES + 1, "gzip")):
        finished_with(api, path.split("/")[2], "x" * (size - empty))
        answer, sent = ask(api, path, GZIP)
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers.get("vary") == (coding and "Accept-Encoding")
        assert len(gzip.decompress(sent) if coding else sent) == size


def test_head_says_what_get_would_and_has_no_body(api: ServedApi) -> None:
    """No length where it is not known: that of the other form would be wrong (RFC 9110, 8.6)."""
    path = results_of(api, "x" * 2000)
    packed, sent = ask(api, path, GZIP, "HEAD")
    assert (packed.status_code, sent, packed.headers["content-encoding"]) == (200, b"", "gzip")
    assert "content-length" not in packed.headers
    assert "transfer-encoding" not in packed.headers
    plain, sent = ask(api, path, PLAIN, "HEAD")
    assert sent == b""
    assert int(plain.headers["content-length"]) > 2000
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


def test_a_refusal_is_compressed_as_well(api: ServedApi) -> None:
    """Many problems make a large document, in the form that was asked for."""
    nodes = [{"id": f"n{number}", "handler": "nothing"} for number in range(60)]
    refused = api.client.post("/workflow", json={"name": "x", "nodes": nodes}, headers=GZIP)
    assert refused.status_code == 422
    assert refused.headers["content-encoding"] == "gzip"
    assert refused.headers["content-type"] == "application/problem+json"
    assert len(refused.content) > LARGEST_PLAIN_BYTES > int(refused.headers["content-length"])
    assert len(refused.json()["problems"]) >= 60


@pytest.mark.parametrize(
    "path",
    ["/ui", "/ui/static/app/main.js", "/docs/swagger-ui-bundle.js", "/openapi.json"],
)
def test_files_are_compressed_once(api: ServedApi, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second caller gets what was made for the first; those who do not ask get the file."""
    _, first = ask(api, path, GZIP)
    monkeypatch.setattr("flowengine.api.compression.gzip_coding.zlib", None)
    packed, again = ask(api, path, GZIP)
    plain, body = ask(api, path, PLAIN)
    assert packed.headers["content-encoding"] == "gzip"
    assert first == again
    assert gzip.decompress(again) == body
    assert int(packed.headers["content-length"]) == len(again)
    assert packed.headers.get_list("vary") == plain.headers.get_list("vary") == ["Accept-Encoding"]
    same = ("content-type", "etag", "cache-control", "content-security-policy")
    assert [packed.headers.get(name) for name in same] == [plain.headers.get(name) for name in same]
    head, nothing = ask(api, path, GZIP, "HEAD")
    assert (nothing, head.headers["content-length"]) == (b"", str(len(again)))


@pytest.mark.parametrize("headers", [GZIP, PLAIN], ids=["gzip", "plain"])
def test_a_caller_who_has_one_form_is_not_sent_the_other(api: ServedApi, headers: dict[str, str]) -> None:
    """Both have one tag, and that is weak: it does not say that they are the same bytes."""
    path = "/ui/static/app/main.js"
    tag = ask(api, path, GZIP)[0].headers["etag"]
    assert tag.startswith('W/"')
    for known in (tag, tag.removeprefix("W/")):
        answer, sent = ask(api, path, {**headers, "If-None-Match": known})
        assert (answer.status_code, sent) == (304, b"")
        assert (answer.headers["etag"], answer.headers["vary"]) == (tag, "Accept-Encoding")
        assert "content-encoding" not in answer.headers


def test_events_are_never_compressed(api: ServedApi) -> None:
    """They arrive as they are written, whatever the caller admits."""
    created = api.client.post("/workflow", json=WORKFLOW).json()["execution_id"]
    path = f"/workflows/{created}/events"
    with api.client.stream("GET", path, headers={**GZIP, "Accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert not {"content-encoding", "content-length", "vary"} & set(answer.headers)
        assert next(answer.iter_raw()).startswith(b"retry: 1000\n\n")


def test_what_is_large_is_compressed_in_a_thread_a_piece_at_a_time() -> None:
    """The event loop goes on meanwhile; what is small is not worth the way there."""
    handed: list[int] = []

    async def in_thread(work: Callable[[], bytes]) -> bytes:
        handed.append(len(part := await asyncio.to_thread(work)))
        return part

    for size, pieces in ((65536, 0), (65537, 1), (MEGABYTE, 4), (MEGABYTE + 1, 5)):
        body = random.Random(1).randbytes(size)
        handed.clear()
        with MemoryBudget(2 * MEGABYTE, "Full.").share() as share:
            parts = asyncio.run(gzip_once(body, share, in_thread))
            assert parts is not None
            assert gzip.decompress(b"".join(parts)) == body
            assert len(handed) == pieces
            assert share.taken == (sum(map(len, parts)) if pieces else 0)


def test_an_answer_without_memory_for_both_forms_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would take counts, and is given back."""
    monkeypatch.setattr("flowengine.api.edge.responses.BUDGET_BYTES", 210_000)
    text = random.Random(1).randbytes(75_000).hex()
    with served_api(Settings(limits=Limits(max_execution_result_bytes=100_000))) as api:
        for path, coding in ((results_of(api, text), None), (results_of(api, text[:70_000]), "gzip")) * 2:
            answer, sent = ask(api, path, GZIP)
            assert answer.status_code == 200
            assert answer.headers.get("content-encoding") == coding
            assert int(answer.headers["content-length"]) == len(sent)
            found = gzip.decompress(sent) if coding else sent
            assert text.startswith(msgspec.json.decode(found)["results"]["a"])
