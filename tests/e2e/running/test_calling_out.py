"""Calls to services through the whole stack: where they may go, and what comes back to the next node."""

from __future__ import annotations

import base64

import pytest

from tests.e2e.documents import node, same, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.http_server import HttpServer, Reply

PNG = b"\x89PNG\r\n\x1a\n\x00"


@pytest.mark.proves("redis-called")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
def test_no_node_reaches_the_server_of_redis_url(stack: Stack, host: str) -> None:
    """Neither with a word that Redis takes for a command, nor with any other method."""
    port = stack.valkey.url.rpartition(":")[2].partition("/")[0]
    url = f"http://{host}:{port}/canary"
    ended = stack.run(
        workflow(
            node("command", "http_request", url=url, method="SET"),
            node("posted", "http_request", url=url, method="POST", body="x"),
        )
    )
    assert (ended.errors["command"]["code"], ended.errors["posted"]["code"]) == (
        "invalid_request",
        "egress_refused",
    )
    assert "it is the server of REDIS_URL" in ended.errors["posted"]["message"]


def test_bytes_reach_the_next_node_whole(stack: Stack, service: HttpServer) -> None:
    """`X.result` of an image is base64, and a file that says so is sent as the image."""
    service.answers("/image", Reply(headers={"Content-Type": "image/png"}, body=PNG))
    file = {"filename": "a.png", "content": "{{ image.result }}", "encoding": "{{ image.encoding }}"}
    ended = stack.run(
        workflow(
            node("image", "http_request", url=service.url("/image")),
            same("base64", "{{ image.result }}", after=["image"]),
            node(
                "upload",
                "http_request",
                after=["image"],
                url=service.url("/uploaded"),
                method="POST",
                files={"image": file},
            ),
        )
    )
    assert ended.errors == {}
    assert base64.b64decode(ended.results["base64"]["result"][0]) == PNG
    assert PNG in service.called("/uploaded")[0].body
