"""What is said of a `callback_url` before anything is sent there, and how it is shown."""

from __future__ import annotations

import pytest

from flowengine.execution.delivery.views import shown_url
from flowengine.handlers.webhooks.callback_url import MAX_CHARS, wrong_with_callback_url
from flowengine.settings.model import Egress


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/x?token=1",
        "http://10.0.0.1:8080/",
        "http://[2606:4700::1111]/x",
    ],
)
def test_an_address_that_handlers_may_call_is_accepted(url: str) -> None:
    """Nothing is resolved: a name is judged when the connection is made."""
    assert wrong_with_callback_url(url, "private") is None


@pytest.mark.proves("callback-url-refused")
@pytest.mark.parametrize(
    ("url", "policy"),
    [
        ("", "any"),
        ("hooks.example.com", "any"),
        ("ftp://hooks.example.com/x", "any"),
        ("file:///etc/passwd", "any"),
        ("http:///x", "any"),
        ("http://hooks.example.com:99999/", "any"),
        ("http://hooks.example.com/a\r\nHost: other", "any"),
        ("http://" + "a" * 70 + ".example.com/", "any"),
        ("http://\ud800.example.com/", "any"),
        ("https://hooks.example.com/" + "a" * MAX_CHARS, "any"),
        ("http://169.254.169.254/latest/meta-data/", "any"),
        ("http://[::ffff:169.254.169.254]/", "any"),
        ("http://metadata.google.internal/", "any"),
        ("http://127.0.0.1:6379/", "private"),
        ("http://localhost:6379/", "private"),
        ("http://a.localhost./", "private"),
        ("http://[::1]/", "private"),
        ("http://10.0.0.1/", "public"),
    ],
)
def test_an_address_that_no_handler_may_call_is_refused(url: str, policy: Egress) -> None:
    """With a reason that quotes at most the host."""
    assert wrong_with_callback_url(url, policy)


def test_a_refusal_shows_no_secret() -> None:
    """User, password, path and query stay out of what is answered and logged."""
    why = wrong_with_callback_url("http://ada:pa55word@127.0.0.1/s3cret?token=t0ken", "public")
    assert why is not None
    assert not any(secret in why for secret in ("ada", "pa55word", "s3cret", "t0ken"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("https://ada:pw@a.example:8443/x?token=t&b=&c#f", "https://a.example:8443/x?token=***&b=***&***"),
        ("https://[bad/", "***"),
    ],
)
def test_what_may_be_secret_in_a_url_is_not_shown(url: str, shown: str) -> None:
    """Values of the query are `***`; names stay, so that one recognises it."""
    assert shown_url(url) == shown
