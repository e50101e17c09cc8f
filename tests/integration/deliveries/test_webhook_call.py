"""One call that sends results, against a real server: what it sends, what it makes of the answer, what bounds
it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import closing

import pytest

from flowengine.engine.delivering.ports import Answered, Outgoing
from flowengine.handlers.http.clients import make_client
from flowengine.handlers.http.network.forbidden_target import ForbiddenTarget
from flowengine.handlers.webhooks import webhook_call
from flowengine.handlers.webhooks.webhook_call import WebhookCall
from flowengine.settings.model import Egress
from tests.support.servers.http_server import HttpServer, Reply, gzip_bomb, serving

KEY = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
AT = 1_795_525_433_250
BODY = b'{"execution_id":"x","status":"completed"}'


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A server of the test's own."""
    with serving() as made:
        yield made


def call(
    url: str,
    *,
    key: str | None = KEY,
    egress: Egress = "any",
    forbidden: ForbiddenTarget | None = None,
    body: bytes = BODY,
) -> Answered:
    """What becomes of a call."""
    with closing(make_client(egress, forbidden=forbidden)) as client:
        send = WebhookCall(lambda: client, key, lambda text: text.replace("s3cret", "***"))
        return send(Outgoing(url, "19b-1", body, AT))


def is_signed(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    """As a receiver checks it, in its own few lines."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(each, f"v1,{mac}") for each in headers["webhook-signature"].split(" "))


@pytest.mark.proves("callback-signed")
@pytest.mark.parametrize(
    ("key", "secret"),
    [(KEY, b"0123456789abcdef01234567"), ("a plain key".replace(" ", "-") * 2, b"a-plain-keya-plain-key")],
)
def test_results_are_posted_with_a_signature_that_the_receiver_can_check(
    server: HttpServer, key: str, secret: bytes
) -> None:
    """Over id, time and body, with the key's bytes: those behind `whsec_`, or the text itself."""
    server.answers("/hook", Reply(status=204))
    answered = call(server.url("/hook?a=1"), key=key)
    (got,) = server.called("/hook")
    assert (got.method, got.body, got.query) == ("POST", BODY, {"a": "1"})
    assert got.headers["content-type"] == "application/json"
    assert (got.headers["webhook-id"], got.headers["webhook-timestamp"]) == ("19b-1", "1795525433")
    assert is_signed(got.headers, BODY, secret)
    assert not is_signed(got.headers, BODY + b" ", secret)
    assert not is_signed(got.headers, BODY, secret + b"x")
    assert (answered.status_code, answered.error) == (204, None)


@pytest.mark.parametrize("status", [400, 410, 500])
def test_another_answer_is_told_with_the_beginning_of_what_it_says(server: HttpServer, status: int) -> None:
    """A line, without secrets and without what acts on a terminal."""
    server.answers("/hook", Reply(status=status, body=b"no \x1b[31m s3cret " + b"x" * 5000))
    answered = call(server.url("/hook"))
    assert answered.status_code == status
    assert answered.error is not None
    assert answered.error.startswith(f"the receiver answered {status}: no ")
    assert "s3cret" not in answered.error
    assert "\x1b" not in answered.error
    assert len(answered.error) <= webhook_call.SHOWN_CHARS + 3


def test_a_redirect_is_not_followed(server: HttpServer) -> None:
    """The results would go where nobody has named."""
    server.answers("/hook", Reply(status=307, headers={"Location": server.url("/other")}))
    answered = call(server.url("/hook"))
    assert (answered.status_code, server.count("/other")) == (307, 0)
    assert answered.error is not None
    assert "redirects are not followed" in answered.error


@pytest.mark.parametrize(
    ("headers", "asked_ms"),
    [
        ({"Retry-After": "120"}, 120_000),
        (
            {"Date": "Sat, 28 Nov 2026 13:00:00 GMT", "Retry-After": "Sat, 28 Nov 2026 13:01:00 GMT"},
            60_000,
        ),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_what_a_receiver_asks_to_wait_is_told(
    server: HttpServer, headers: dict[str, str], asked_ms: int | None
) -> None:
    """Seconds, or a time by its own clock."""
    server.answers("/hook", Reply(status=503, headers=headers))
    assert call(server.url("/hook")).retry_after_ms == asked_ms


@pytest.mark.proves("callback-url-refused")
@pytest.mark.parametrize("egress", ["public", "private"])
def test_an_address_that_the_egress_rules_forbid_is_not_called(server: HttpServer, egress: Egress) -> None:
    """They are those of HTTP nodes; a name is judged by where it leads."""
    answered = call(server.url("/hook"), egress=egress)
    assert (answered.status_code, server.count("/hook")) == (None, 0)
    assert answered.error is not None
    assert "not allowed" in answered.error


@pytest.mark.proves("callback-url-refused")
def test_the_server_of_redis_is_not_called(server: HttpServer) -> None:
    """Under any name and policy."""
    forbidden = ForbiddenTarget("127.0.0.1", server.port, "the server of REDIS_URL")
    answered = call(server.url("/hook"), forbidden=forbidden)
    assert (answered.status_code, server.count("/hook")) == (None, 0)


def test_a_receiver_that_is_not_there_is_an_error(server: HttpServer) -> None:
    """Whose words hold no secret of the URL."""
    server.answers("/hook", Reply(cut=True))
    answered = call(server.url("/hook?token=t0ken"))
    assert answered.status_code is None
    assert answered.error
    assert "t0ken" not in answered.error


@pytest.mark.proves("delivery-hostile-receiver")
def test_a_receiver_that_holds_the_answer_back_is_left_in_time(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it sends a byte now and then, so that it is never silent for long."""
    monkeypatch.setattr(webhook_call, "CALL_S", 0.3)
    server.answers("/slow", Reply(delay_s=30))
    server.answers("/drip", Reply(drip_s=0.1, drip_head=True, body=b"x" * 1000))
    for path in ("/slow", "/drip"):
        answered = call(server.url(path))
        assert answered.status_code is None
        assert answered.error is not None


@pytest.mark.proves("delivery-hostile-receiver")
def test_a_receiver_that_answers_without_end_is_not_read_to_it(server: HttpServer) -> None:
    """The status decides, and a kilobyte of the rest is looked at."""
    server.answers("/ok", gzip_bomb(50))
    assert call(server.url("/ok")).status_code == 200
    server.answers("/bad", Reply(status=500, body=b"x" * 50_000_000))
    assert call(server.url("/bad")).status_code == 500


def test_a_worker_without_the_key_calls_nobody(server: HttpServer) -> None:
    """It says which setting is missing; it is tried again, so that a restart with the key helps."""
    answered = call(server.url("/hook"), key=None)
    assert server.count("/hook") == 0
    assert answered.error is not None
    assert "FLOWENGINE_WEBHOOK_KEY" in answered.error
