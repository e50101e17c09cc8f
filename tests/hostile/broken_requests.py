"""Requests that are broken below the document: heads, paths, framing. Each as the bytes to send."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "0" * 26


def post(head: bytes, body: bytes = b"{}") -> bytes:
    """A POST of a workflow with these header lines besides."""
    length = b"Content-Length: %d\r\n" % len(body)
    return (
        b"POST /workflow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + length
        + head
        + b"\r\n"
        + body
    )


def get(target: bytes, head: bytes = b"") -> bytes:
    """A GET of this target with these header lines besides."""
    return b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + head + b"\r\n"


def with_body(framing: bytes) -> bytes:
    """A POST whose framing is as given: header lines, an empty line, a body."""
    return b"POST /workflow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + framing


TYPED: Final = b"Content-Type: application/json\r\n"
REQUESTS: Final[dict[str, bytes]] = {
    "a correlation id with CR LF and a header": get(
        b"/workflows/x", b"X-Correlation-ID: a\r\n Injected: yes\r\n"
    ),
    "a correlation id with a bare CR": get(b"/workflows/x", b"X-Correlation-ID: a\rInjected: yes\r\n"),
    "a correlation id with a bare LF": get(b"/workflows/x", b"X-Correlation-ID: a\nInjected: yes\r\n"),
    "a correlation id with a NUL": get(b"/workflows/x", b"X-Correlation-ID: a\x00b\r\n"),
    "a correlation id of 60 KB": get(b"/workflows/x", b"X-Correlation-ID: " + b"a" * 60_000 + b"\r\n"),
    "a correlation id in Latin-1": get(b"/workflows/x", b"X-Correlation-ID: \xe9\xff\r\n"),
    "a path with an encoded CR LF": get(b"/workflows/x%0d%0aInjected:%20yes"),
    "a path with an encoded NUL": get(b"/workflows/x%00"),
    "a path that climbs": get(b"/workflows/../../etc/passwd"),
    "a path that climbs, encoded": get(b"/workflows/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
    "a path in overlong UTF-8": get(b"/workflows/%c0%ae%c0%ae"),
    "an id that is a template": get(b"/workflows/%7b%7b7*7%7d%7d"),
    "an id that is a key pattern": get(b"/workflows/*"),
    "an id that is a key of another kind": get(b"/workflows/x:meta%0aFLUSHALL"),
    "an id that is a command of Redis": get(b"/workflows/x%0d%0aFLUSHALL%0d%0a"),
    "an id of 60 KB": get(b"/workflows/" + b"a" * 60_000),
    "a query of 60 KB": get(b"/workflows/x?" + b"a=1&" * 15_000),
    "a target that is a whole URL": get(b"http://example.com/workflows/x"),
    "a target with a control character": get(b"/workflows/\x01"),
    "a target with a space": get(b"/workflows/a b"),
    "a header of 100 KB": get(b"/workflows/x", b"A: " + b"a" * 100_000 + b"\r\n"),
    "10,000 headers": get(b"/workflows/x", b"".join(b"A%d: 1\r\n" % at for at in range(10_000))),
    "a header name with a space": get(b"/workflows/x", b"A B: 1\r\n"),
    "a header without a colon": get(b"/workflows/x", b"nonsense\r\n"),
    "a header before the first": b"GET /workflows/x HTTP/1.1\r\n A: 1\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /workflows/x HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two hosts": get(b"/workflows/x", b"Host: example.com\r\n"),
    "another host": b"GET /workflows/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    "an unknown method": b"FOO /workflow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "a method of 60 KB": b"A" * 60_000
    + b" /workflow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "TRACE": b"TRACE /workflow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "CONNECT": b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "DELETE": b"DELETE /workflows/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "HTTP/9.9": b"GET /nothing HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
    "a command of Redis": b"*1\r\n$8\r\nFLUSHALL\r\n\r\n",
    "bytes of no kind": bytes(range(256)) + b"\r\n\r\n",
    "a negative length": with_body(b"Content-Length: -1\r\n\r\n{}"),
    "a length that is no number": with_body(b"Content-Length: 0x10\r\n\r\n{}"),
    "a length of a thousand digits": with_body(b"Content-Length: " + b"9" * 1000 + b"\r\n\r\n{}"),
    "a length of a terabyte": with_body(b"Content-Length: 1000000000000\r\nConnection: close\r\n\r\n{}"),
    "two lengths": with_body(b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a length and chunks": with_body(
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "a length and chunks, kept alive": with_body(
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n"
    ),
    "chunks in HTTP/1.0": b"POST /workflow HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an unknown transfer encoding": with_body(b"Transfer-Encoding: gzip\r\n\r\n{}"),
    "chunked, twice": with_body(b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "a chunk of no size": with_body(b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nxyz\r\n"),
    "a chunk of a negative size": with_body(b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n-1\r\n"),
    "a chunk of an immense size": with_body(
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"f" * 100 + b"\r\n"
    ),
    "a body in 50,000 chunks": with_body(
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"1\r\n \r\n" * 50_000 + b"0\r\n\r\n"
    ),
    "a compressed body": post(TYPED + b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08"),
    "two media types": post(TYPED + b"Content-Type: text/yaml\r\n"),
    "a media type with CR LF": post(b"Content-Type: application/json\r\n Injected: yes\r\n"),
    "a media type of 60 KB": post(b"Content-Type: " + b"a/" * 30_000 + b"\r\n"),
    "a media type of nothing but semicolons": post(
        b"Content-Type: application/json" + b";" * 60_000 + b"\r\n"
    ),
    "no media type": post(b""),
    "text/plain": post(b"Content-Type: text/plain\r\n"),
    "a charset of UTF-7": post(b"Content-Type: application/json; charset=utf-7\r\n"),
    "a form": post(b"Content-Type: application/x-www-form-urlencoded\r\n", b"name=x"),
    "a form of files": post(b"Content-Type: multipart/form-data; boundary=x\r\n", b"--x\r\n\r\n--x--\r\n"),
    "expecting something odd": post(TYPED + b"Expect: 200-maybe\r\n"),
    "a POST of another site's page": post(TYPED + b"Sec-Fetch-Site: cross-site\r\n"),
    "a POST of no site": post(TYPED + b"Origin: null\r\n"),
    "an origin that is a lie": post(TYPED + b"Origin: http://localhost@evil.example\r\n"),
    "an origin of 60 KB": post(TYPED + b"Origin: http://" + b"a" * 60_000 + b"\r\n"),
    "an idempotency key": post(TYPED + b"Idempotency-Key: a\r\n"),
    "a trigger of nothing with a body": (
        b"POST /workflow/trigger/" + UNKNOWN.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
        b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    ),
    "an upgrade to a web socket": get(
        b"/workflows/x",
        b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    ),
    "a trigger of nothing": (
        b"POST /workflow/trigger/" + UNKNOWN.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
        b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    ),
}
