"""One connection of the async client: what is sent together, what comes early, and what is left unread."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import httpx
import pytest

from flowengine.handlers.http.clients import make_async_client
from flowengine.handlers.http.network.guarded_connections import AsyncDeadlineStream

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Use: TypeAlias = Callable[[httpx.AsyncClient, str], Awaitable[None]]

HEAD = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def run(serve: Serve, use: Use) -> None:
    """Use a client, as handlers have it, while a service serves each connection in this way."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has what it wanted
        finally:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(connection, "127.0.0.1", 0)
        with contextlib.closing(server):
            async with make_async_client("any") as client:
                await use(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_small_body_is_sent_together_with_its_head() -> None:
    """One packet instead of two."""
    first: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first.append(await reader.read(65536))
        writer.write(OK)
        await writer.drain()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        assert (await client.post(url, content=b"the body")).text == "ok"

    run(serve, use)
    assert first[0].endswith(HEAD + b"the body")


def test_a_large_body_arrives_whole() -> None:
    """More than the system's buffers take at once; of known length, or in pieces as they come."""
    body = bytes(range(256)) * 40_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            head = await reader.readuntil(HEAD)
            if b"content-length" in head.lower():
                found = await reader.readexactly(len(body))
            else:
                found = b""
                while size := int((await reader.readline()).strip(), 16):
                    found += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            assert found == body
            writer.write(OK)
            await writer.drain()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 100_000):
            yield body[at : at + 100_000]

    async def use(client: httpx.AsyncClient, url: str) -> None:
        assert (await client.post(url, content=body)).text == "ok"
        assert (await client.post(url, content=pieces())).text == "ok"

    run(serve, use)


def test_an_answer_that_comes_before_the_body_is_read_counts() -> None:
    """A service refuses a large body by its length, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(HEAD)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        assert (await client.post(url, content=bytes(50_000_000))).status_code == 413

    run(serve, use)


def test_interim_answers_are_passed_over() -> None:
    """The real answer follows them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(HEAD)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK)
        await writer.drain()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        answer = await client.get(url)
        assert (answer.status_code, answer.text, answer.http_version) == (200, "ok", "HTTP/1.1")

    run(serve, use)


def test_what_follows_a_change_of_protocol_is_given_to_its_reader() -> None:
    """From the first byte behind the head on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(HEAD)
        writer.write(b"HTTP/1.1 101 Switching\r\nUpgrade: talk\r\nConnection: upgrade\r\n\r\nhello")
        await writer.drain()
        writer.write(b"you said " + await reader.readexactly(2))
        await writer.drain()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        headers = {"Upgrade": "talk", "Connection": "upgrade"}
        async with client.stream("GET", url, headers=headers) as answer:
            assert answer.status_code == 101
            stream = answer.extensions["network_stream"]
            assert isinstance(stream, AsyncDeadlineStream)
            assert await stream.read(2) + await stream.read(100) == b"hello"
            await stream.write(b"hi")
            assert await stream.read(100) == b"you said hi"

    run(serve, use)


def test_what_nobody_reads_stays_with_the_service() -> None:
    """A client that waits with the body takes little of it into memory, and then gets all of it."""
    size = 64_000_000
    sent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(HEAD)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(64):
            writer.write(bytes(1_000_000))
            await writer.drain()
        sent.set()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        async with client.stream("GET", url) as answer:
            stream = answer.extensions["network_stream"]
            await asyncio.sleep(0.3)
            assert not sent.is_set()
            read = 0
            while piece := await stream.read(1_000_000, 10):  # beside HTTP, which refuses so large a body
                read += len(piece)
            assert size - 65536 < read <= size, "the beginning came with the head"

    run(serve, use)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "without sending a response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "without sending complete message body"),
        (b"SSH-2.0-OpenSSH" + HEAD, "illegal status line"),
    ],
)
def test_an_answer_that_is_none_or_breaks_off_is_an_error(answer: bytes, error: str) -> None:
    """In the words that handlers' errors have always had."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(HEAD)
        writer.write(answer)
        await writer.drain()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        with pytest.raises(httpx.RemoteProtocolError, match=error):
            await client.get(url)

    run(serve, use)


def test_silence_ends_a_read_and_a_write_after_their_time() -> None:
    """Each with its own error; the head of an answer and its body alike."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(HEAD)
        if head.startswith(b"GET /body"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await asyncio.sleep(5)

    async def use(client: httpx.AsyncClient, url: str) -> None:
        limits = httpx.Timeout(5, read=0.1, write=0.1)
        for path in ("head", "body"):
            with pytest.raises(httpx.ReadTimeout):
                await client.get(url + path, timeout=limits)
        with pytest.raises(httpx.WriteTimeout):
            await client.post(url, content=bytes(50_000_000), timeout=limits)

    run(serve, use)


def test_a_request_that_breaks_its_own_rules_is_refused() -> None:
    """A body that is longer than its head says would begin another request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)

    async def use(client: httpx.AsyncClient, url: str) -> None:
        with pytest.raises(httpx.LocalProtocolError, match="Too much data"):
            await client.post(url, content=b"four", headers={"Content-Length": "2"})

    run(serve, use)


def test_no_connection_is_encrypted_by_who_does_not_speak_tls() -> None:
    """The error is that of a connection, and its cause tells what the service said."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get(url.replace("http:", "https:"))
        assert caught.value.__cause__ is not None
        assert isinstance(caught.value.__cause__.__cause__, ssl.SSLError)

    run(serve, use)


@pytest.mark.parametrize(
    ("method", "answer"),
    [("GET", OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"), ("HEAD", OK)],
)
def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one(method: str, answer: bytes) -> None:
    """Neither an answer that nobody asked for nor a body where there is none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(HEAD)
        writer.write(answer if b"/first" in head else OK)
        await writer.drain()
        await reader.read(1)

    async def use(client: httpx.AsyncClient, url: str) -> None:
        assert (await client.request(method, url + "first")).status_code == 200
        assert (await client.get(url + "second")).text == "ok"

    run(serve, use)


def test_a_body_that_is_cut_by_this_side_is_no_whole_one() -> None:
    """An answer without a length ends where the connection does; a client that is closed has not read all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(HEAD)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart")
        await writer.drain()
        await reader.read(1)

    async def use(client: httpx.AsyncClient, url: str) -> None:
        begun = asyncio.Event()

        async def read() -> bytes:
            async with client.stream("GET", url) as response:
                begun.set()
                return await response.aread()

        reading = asyncio.create_task(read())
        await begun.wait()
        await asyncio.sleep(0.05)
        await client.aclose()
        with pytest.raises(httpx.ReadError):
            await reading

    run(serve, use)


def test_a_port_that_there_is_not_is_an_invalid_address() -> None:
    """As a service may redirect to."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def use(client: httpx.AsyncClient, url: str) -> None:
        with pytest.raises(httpx.InvalidURL, match="port"):
            await client.get("http://127.0.0.1:99999/")

    run(serve, use)
