"""`--demo`: the examples that call services run as they are."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from flowengine.cli.authoring.demo_service import DEMO_PORT, HOST
from tests.e2e.cli_process import CliProcess
from tests.support.rigs.stack_processes import ROOT


def _is_taken() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, DEMO_PORT)) == 0


@pytest.mark.skipif(_is_taken(), reason="another program listens on the port of the demo service")
def test_example_with_a_service_and_a_model_runs_as_it_is(tmp_path: Path) -> None:
    """`flowengine run --demo`, without a setting and an input."""
    command = CliProcess(tmp_path, "run", str(ROOT / "workflows" / "http_and_llm.yaml"), "--demo", "--json")
    try:
        assert command.wait(within_s=100) == 0, command.stdout + command.stderr
    finally:
        command.close()
    results = json.loads(command.stdout)["results"]
    assert results["fetch_user"]["data"]["name"] == "Ada Berg"
    assert results["headline"]["result"].startswith("This is the demo service and no model")


@pytest.mark.parametrize("arguments", [("run", "x.yaml"), ("dev",)], ids=["run", "dev"])
def test_demo_on_a_server_of_others_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Its workers would ask a service that ends with the command."""
    command = CliProcess(tmp_path, *arguments, "--demo", REDIS_URL="redis://127.0.0.1:1/0")
    assert command.wait() == 3
    assert "--demo is for the embedded server" in command.stderr
