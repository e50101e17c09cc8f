"""The page on schedules: its example, its commands as they are written, over a development stack."""

from __future__ import annotations

import json

import httpx
import yaml

from flowengine.execution.schedules.views import ScheduleView
from tests.e2e.docs.conftest import Shell, finished
from tests.e2e.docs.markdown_files import TOPICS
from tests.support.waiting import wait_until


def test_schedule_is_applied_paused_resumed_triggered_and_comes_by_itself(dev_url: str, shell: Shell) -> None:
    """The example of the page; then one that comes each second, on the real clock."""
    page = TOPICS["schedules"]
    (document,) = [yaml.safe_load(block) for block in page.blocks("yaml")]
    path = f"{dev_url}/definitions/nightly-report"
    assert httpx.put(path, json=document).status_code == 201
    listing, pause, resume, trigger, history = page.commands
    listed = shell(listing, FLOWENGINE_URL=dev_url)
    assert listed.stdout.startswith("nightly-report\tdefault\t0 2 * * * Europe/Berlin\t"), listed.stderr
    assert "paused" in shell(pause, FLOWENGINE_URL=dev_url).stdout
    assert "active, next " in shell(resume, FLOWENGINE_URL=dev_url).stdout
    execution = shell(trigger, FLOWENGINE_URL=dev_url).stdout.strip()
    finished(dev_url, execution)
    ended = httpx.get(f"{dev_url}/workflows/{execution}").json()
    assert (ended["status"], ended["trigger"]["kind"]) == ("completed", "schedule")
    assert ended["trigger"]["scheduled_at"] == ended["scheduled_at"]
    assert execution in shell(history, FLOWENGINE_URL=dev_url).stdout
    (shown,) = httpx.get(f"{dev_url}/schedules").json()["items"]
    assert set(ScheduleView.__struct_fields__) == set(shown)
    often = {**document, "schedules": [{"every_seconds": 1, "inputs": {"day": "2026-03-01"}}]}
    assert httpx.put(path, json=often).status_code == 201
    outcomes = f"{dev_url}/schedules/nightly-report/default/history"

    def came_by_itself() -> bool:
        items = httpx.get(outcomes).json()["items"]
        return len([item for item in items if item["outcome"] == "started" and item["by"] is None]) >= 2

    wait_until(came_by_itself, within_s=60.0)
    told = shell(f"{listing} --json", FLOWENGINE_URL=dev_url).stdout
    assert json.loads(told)["every_seconds"] == 1
    assert httpx.delete(path).status_code == 200
    assert httpx.get(f"{dev_url}/schedules").json()["items"] == []
