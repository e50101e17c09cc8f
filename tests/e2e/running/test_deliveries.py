"""Results that real processes send to a real receiver, which checks them as the reference shows."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.conftest import WEBHOOK_KEY
from tests.e2e.docs.markdown_files import TOPICS
from tests.e2e.documents import add, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.http_server import Call, HttpServer, Reply
from tests.support.waiting import wait_until

(RECEIVER,) = TOPICS["operating"].blocks("python")


def is_signed(call: Call, key: str = WEBHOOK_KEY) -> bool:
    """By the function of the reference."""
    scope: dict[str, Any] = {}
    exec(RECEIVER, scope)
    found: bool = scope["is_signed"](call.headers, call.body, key)
    return found


@pytest.mark.proves("callback-signed", "delivery-sent-again")
def test_results_reach_a_receiver_that_refuses_them_at_first(stack: Stack, service: HttpServer) -> None:
    """It is called again after some seconds, and can tell that it is the same delivery, and whose it is."""
    service.answers("/deliveries", Reply(status=500, body=b"not now"), Reply(status=204))
    posted = httpx.post(
        f"{stack.url}/workflow",
        json={
            "workflow": workflow(add("sum", 40, 2)),
            "callback_url": service.url("/deliveries?token=t0ken"),
            "trigger": True,
        },
        trust_env=False,
    )
    assert posted.status_code == 202, posted.text
    url = f"{stack.url}/workflows/{posted.json()['execution_id']}"

    def shown() -> dict[str, Any]:
        items = httpx.get(f"{url}/deliveries", trust_env=False).json()["items"]
        return items[0] if items else {"state": "none"}

    wait_until(lambda: shown()["state"] == "delivered", within_s=30, what="the delivery")
    first, second = service.called("/deliveries")
    results = httpx.get(f"{url}/results", trust_env=False)
    assert first.body == second.body == results.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == shown()["webhook_id"]
    assert is_signed(first)
    assert is_signed(second)
    assert not is_signed(second, "another-key-of-16-bytes")
    assert [each["status_code"] for each in shown()["attempts"]] == [500, 204]
    assert shown()["attempts"][0]["error"] == "the receiver answered 500: not now"
    assert "t0ken" not in str(shown())
