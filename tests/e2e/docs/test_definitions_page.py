"""The page on definitions: its commands as they are written, and its endpoints, over a development stack."""

from __future__ import annotations

import json
import re

import httpx

from tests.e2e.docs.conftest import Shell, finished
from tests.e2e.docs.markdown_files import TOPICS


def test_folder_is_applied_and_a_definition_is_started(dev_url: str, shell: Shell) -> None:
    """From a dry run to an execution that has completed, and the same over HTTP, with what the page names."""
    page = TOPICS["definitions"]
    dry, apply, submit = page.commands
    told = shell(dry, FLOWENGINE_URL=dev_url)
    assert (told.returncode, "would be new" in told.stderr) == (0, True), told.stderr
    assert httpx.get(f"{dev_url}/definitions").json()["items"] == []
    done = shell(apply, FLOWENGINE_URL=dev_url)
    assert done.returncode == 0, done.stderr
    assert shell(apply, FLOWENGINE_URL=dev_url).stdout == ""
    assert shell("flowengine diff workflows/", FLOWENGINE_URL=dev_url).returncode == 0
    started = shell(f"{submit} --json", FLOWENGINE_URL=dev_url)
    assert started.returncode == 0, started.stderr
    assert json.loads(started.stdout)["results"]["report"]["result"]["title"].endswith("over 60")
    path = f"{dev_url}/definitions/Report%20with%20parameters"
    (body,) = [json.loads(block) for block in page.blocks("json")]
    given = {"inputs": body["inputs"], "labels": body["labels"]}
    answer = httpx.post(f"{path}/trigger", json=given, params={"version": 1})
    assert (answer.status_code, answer.json()["version"]) == (202, 1)
    execution = answer.json()["execution_id"]
    assert finished(dev_url, execution)["status"] == "completed"
    view = httpx.get(f"{dev_url}/workflows/{execution}").json()
    assert (view["version"], view["labels"]["customer"]) == (1, "4711")
    shown = httpx.get(path).json()
    assert set(re.findall(r"`(\w+)`", page.text)) >= {"document", "media_type", "graph", "input_schema"}
    assert {"document", "media_type", "graph", "input_schema", "current"} <= set(shown)
    assert shown["input_schema"]["properties"]["day"]["format"] == "date"
    own = httpx.post(f"{dev_url}/definitions/invoice-total/trigger", params={"wait": 60}).json()
    assert own["outputs"]["invoice"]["made_by"] == "invoice-total, version 1"
    listed = shell("flowengine definitions", FLOWENGINE_URL=dev_url).stdout
    assert "Report with parameters\t1\t" in listed
    (command,) = [code for code in TOPICS["api"].inline if code.endswith("--definitions 'etl-*'")]
    kept = shell(command, REDIS_URL="redis://127.0.0.1:1/0")
    assert (kept.returncode, "REDIS_URL" in kept.stderr) == (3, True), kept.stderr
    for item in httpx.get(f"{dev_url}/definitions").json()["items"]:
        assert httpx.delete(f"{dev_url}/definitions/{item['name']}").status_code == 200
