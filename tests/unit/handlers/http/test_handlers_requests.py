"""The request that a config describes, how long a try may wait, and what follows a redirect."""

from __future__ import annotations

import httpx
import pytest

from flowengine.execution.error_codes import REDIRECT_REFUSED
from flowengine.handlers.http.exchange import TryFailedError, attempt_timeout, redirected
from flowengine.handlers.http.outgoing_request import prepare_request, public_url
from flowengine.plugin import HandlerError


def request_of(url: str = "http://a.test/", **parts: object) -> tuple[str, dict[str, str], bytes | None]:
    """URL, headers and body that a config leads to."""
    config: dict[str, object] = {"method": "post", "headers": {}, "params": {}, "body": None, **parts}
    made = prepare_request(url=url, **config)  # type: ignore[arg-type]  # the cases below are typed by eye
    return made.url, dict(made.headers), made.content


def test_params_are_added_to_the_query_that_is_there() -> None:
    """Existing query parts stay, lists repeat, booleans are JSON's, nulls are left out."""
    params = {"b": [1, None, "ü &"], "c": True, "d": None, "e": [], "f": [None]}
    url, _, _ = request_of("http://a.test/x?a=1#part", params=params)
    assert url == "http://a.test/x?a=1&b=1&b=%C3%BC+%26&c=true"


def test_params_that_are_all_null_leave_the_address_as_it_is() -> None:
    """No `?` without a query behind it."""
    assert request_of("http://a.test/x", params={"a": None, "b": [None]})[0] == "http://a.test/x"


def test_text_is_sent_as_it_is_and_the_rest_as_json() -> None:
    """A text body is not quoted; a content type that the user set wins."""
    assert request_of(body="42")[1:] == ({"Content-Type": "text/plain; charset=utf-8"}, b"42")
    assert request_of(body={"a": 1})[1:] == ({"Content-Type": "application/json"}, b'{"a":1}')
    assert request_of(body=[], headers={"content-type": "x/y"})[1:] == ({"content-type": "x/y"}, b"[]")
    assert request_of(body=None)[1:] == ({}, None)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"url": "ftp://a.test/"}, "must start with http"),
        ({"url": "a.test"}, "must start with http"),
        ({"url": "file:///etc/passwd"}, "must start with http"),
        ({"url": "http://"}, "names no host"),
        ({"url": "http://a.test:0/"}, "names no host"),
        ({"url": "http://a..test/"}, "a part that is empty"),
        ({"url": "http://.a.test/"}, "a part that is empty"),
        ({"url": "http://" + "a" * 64 + ".test/"}, "longer than 63"),
        ({"url": "http://a.test:99999/"}, "cannot be read"),
        ({"url": "http://[::1/"}, "cannot be read"),
        ({"url": "http://a.test/\r\nHost: b"}, "control character"),
        ({"url": "http://a.test/a b"}, "percent-encode"),
        ({"url": "http://a.test/\n"}, "has a newline at its end: .* `>-` in place of `>`"),
        ({"url": "http://a.test/ \r\n"}, "has a space at its end"),
        ({"url": "\nhttp://a.test/"}, "begins with a newline"),
        ({"url": "http://a.test/\tb"}, "contains a tab, a control character"),
        ({"url": "http://a.test/a\u200b"}, "ends in a zero-width space, which nobody sees"),
        ({"url": "\ufeffhttp://a.test/"}, "begins with a byte order mark"),
        ({"url": "http://a.test/\0"}, "has a null character at its end"),
        ({"url": "http://me:a/b@a.test/"}, "its port is no number"),
        ({"method": "SET"}, "method is not one of GET, HEAD, POST"),
        ({"method": "TRACE"}, "FLOWENGINE_HTTP_METHODS"),
        ({"url": "http://a.test/" + "x" * 20_000}, "the limit is 16384"),
        ({"url": "http://a.test/\ud800"}, "not valid Unicode"),
        ({"method": "GET / HTTP/1.1\r\nX: y"}, "not an HTTP method"),
        ({"method": "CONNECT"}, "opens a tunnel"),
        ({"headers": {"Authorization": "1", "authorization": "2"}}, "are the same header: keep one"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "'X-A' contains a line break"),
        ({"headers": {"X-A": "1\n"}}, "'X-A' contains a line break or another control character, at its end"),
        ({"headers": {"X-A\r\nX-B": "2"}}, "header name"),
        ({"headers": {"X A": "2"}}, "header name"),
        ({"headers": {"": "2"}}, "header name"),
        ({"headers": {"X-A": "\x00"}}, "control character"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "belongs to the connection"),
        ({"body": {"a": float("inf")}}, "cannot be written as JSON"),
    ],
)
def test_a_request_that_could_be_misread_is_refused(parts: dict[str, object], message: str) -> None:
    """Header and request smuggling end here, with an error naming the part at fault."""
    with pytest.raises(HandlerError, match=message) as caught:
        request_of(**parts)  # type: ignore[arg-type]  # as above
    assert caught.value.code == "invalid_request"


def test_what_is_shown_of_a_url_has_no_query_and_no_credentials() -> None:
    """Labels go to logs and errors."""
    assert public_url("https://me:pw@a.test:8443/p?token=1#f") == "https://a.test:8443/p"
    assert public_url("http://[") == "(an invalid URL)"


@pytest.mark.parametrize("method", ["canary-secret-value of a token", "canary-secret-value" * 3])
def test_a_method_that_is_none_is_not_quoted(method: str) -> None:
    """It may be a secret that was put into the wrong field."""
    with pytest.raises(HandlerError, match="method is not") as caught:
        request_of(method=method)
    assert "canary" not in caught.value.message


def test_a_header_name_that_is_quoted_in_part_is_marked_as_cut() -> None:
    """A header's name may be anything, a secret too."""
    with pytest.raises(HandlerError, match=r"'x x*'\.\.\. contains"):
        request_of(headers={"x " + "x" * 90: ""})


@pytest.mark.parametrize(
    ("left", "silence", "connect"), [(5, 5, 5), (40, 30, 10), (300, 150, 10), (3600, 1800, 10)]
)
def test_a_try_may_be_silent_for_half_of_the_time_left(left: float, silence: float, connect: float) -> None:
    """A try that hangs leaves time for another; the first try gets all of a short timeout."""
    timeout = attempt_timeout(left)
    assert (timeout.read, timeout.connect) == (silence, connect)


@pytest.mark.parametrize(
    ("here", "there", "kept"),
    [
        ("https://a.test/", "https://a.test/x", True),
        ("http://a.test/", "https://a.test/", True),
        ("http://a.test:8000/", "https://a.test/", False),
        ("https://a.test/", "https://a.test:8443/", False),
        ("https://a.test/", "https://b.a.test/", False),
        ("https://a.test/", "https://a.test.evil.test/", False),
    ],
)
def test_a_credential_follows_only_to_the_same_service(here: str, there: str, kept: bool) -> None:
    """Same host and port, or the upgrade of the standard ports to https."""
    following = httpx.Request("GET", there, headers={"X-Api-Key": "s"})
    sent = redirected(httpx.Request("GET", here), following)
    assert ("x-api-key" in sent.headers) is kept


def test_a_redirect_from_https_to_http_is_refused() -> None:
    """Neither the request nor its answer may suddenly go unencrypted."""
    with pytest.raises(TryFailedError, match=r"from https to http://a\.test/x is not followed"):
        redirected(httpx.Request("GET", "https://a.test/"), httpx.Request("GET", "http://a.test/x?q=1"))


@pytest.mark.parametrize(
    ("there", "content", "followed"),
    [
        ("http://b.test/x", b"password=1", False),
        ("http://a.test:8080/x", b"password=1", False),
        ("http://a.test/x", b"password=1", True),
        ("https://a.test/x", b"password=1", True),
        ("http://b.test/x", None, True),
        ("http://b.test/x", b"", True),
    ],
)
def test_a_body_follows_only_to_the_same_service(there: str, content: bytes | None, followed: bool) -> None:
    """A body may hold a secret, as a header may, but no part of a body can be left out."""
    here = httpx.Request("POST", "http://a.test/", content=content)
    following = httpx.Request("POST", there, content=content)
    if followed:
        assert redirected(here, following) is following
    else:
        with pytest.raises(TryFailedError, match="body on to") as caught:
            redirected(here, following)
        assert (caught.value.code, caught.value.retryable) == (REDIRECT_REFUSED, False)


def test_more_methods_may_be_allowed() -> None:
    """Services for files and calendars have methods of their own."""
    more = prepare_request(
        method="propfind", url="http://a.test/", headers={}, params={}, more_methods=["PROPFIND"]
    )
    assert more.method == "PROPFIND"
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert prepare_request(method=method, url="http://a.test/", headers={}, params={}).method == method
    with pytest.raises(HandlerError, match="opens a tunnel"):
        prepare_request(
            method="CONNECT", url="http://a.test/", headers={}, params={}, more_methods=["CONNECT"]
        )
