"""The pages of what is applied under its name: the list, and one with its runs, its versions and its form."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
from playwright.sync_api import Page, expect

from tests.support.rigs.browser import PHONE, Visits, reaches_sideways, violations
from tests.support.rigs.stack_processes import Stack

MARKUP = "<img src=x onerror=\"document.title='harmed'\"> \u202egnp"
RUN = re.compile(r"/ui/runs/([0-9a-f]+)$")
DOCUMENT = """\
name: {name}  # applied by a test
description: Orders of the day before.
inputs:
  day: {{type: string, format: date, default: "2026-03-01"}}
  threshold: {{type: number, minimum: 0, default: 50}}
  code: {{type: string, pattern: "^[a-z]+$", default: abc}}
  region: {{type: string, enum: [eu, us], default: eu}}
  strict: {{type: boolean, required: false}}
  token: {{type: string, secret: true}}
nodes:
  - id: load
    handler: set
    config: {{value: "{{{{ inputs.threshold }}}}"}}
"""
PUBLISH = """\
  - id: publish
    handler: set
    config: {value: 1}
    dependencies: [load]
"""


def _apply(stack: Stack, name: str, document: object) -> None:
    """Put a document in force, as text or as a value."""
    text = document if isinstance(document, str) else json.dumps(document)
    headers = {"Content-Type": "application/yaml"}
    answer = stack.client.put(f"/definitions/{quote(name, safe='')}", content=text, headers=headers)
    assert answer.status_code in (200, 201), answer.text


def _type_into(page: Page, label: str, text: str) -> None:
    """Tab on to a field, and type."""
    field = page.get_by_role("region", name="Start").get_by_label(label)
    for _ in range(12):
        if field.evaluate("each => each === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(field).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def test_a_definition_is_started_by_its_form(visit: Visits, page_stack: Stack) -> None:
    """By keyboard: found in the list, wrong values are said at their fields, put right, and it runs."""
    visit.allow("status of 422")
    name = f"orders-{uuid4().hex[:8]}"
    _apply(page_stack, name, DOCUMENT.format(name=name))
    page = visit("/ui/definitions")
    page.get_by_role("searchbox").fill(name)
    expect(page.locator(".defs tbody tr")).to_have_count(1)
    assert violations(page) == []
    page.get_by_role("link", name=name).press("Enter")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.get_by_text("No runs yet")).to_be_visible()
    start = page.get_by_role("region", name="Start")
    start.get_by_role("button", name="Start run").press("Enter")
    token = start.get_by_label("token")
    expect(token).to_be_focused()
    expect(start.get_by_text("It must be given")).to_be_visible()
    start.get_by_label("day").focus()
    _type_into(page, "threshold", "-5")
    expect(start.get_by_text("It must be at least 0")).to_be_visible()
    _type_into(page, "code", "12")
    _type_into(page, "token", "do-not-tell")
    page.keyboard.press("Enter")
    expect(start.get_by_label("threshold")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("7.5")
    page.keyboard.press("Enter")
    expect(start.get_by_label("code")).to_have_attribute("aria-invalid", "true")
    expect(start.get_by_label("code")).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("Control+a")
    page.keyboard.type("ok")
    page.keyboard.press("Enter")
    expect(page).to_have_url(RUN)
    found = RUN.search(page.url)
    assert found
    run = page_stack.ended(found[1]).status
    assert run["inputs"] == {
        "day": "2026-03-01",
        "threshold": 7.5,
        "code": "ok",
        "region": "eu",
        "token": "***",
    }
    body = {"inputs": {"token": "do-not-tell"}}
    page_stack.client.post(f"/definitions/{name}/trigger?wait=20", json=body)
    page.goto(f"{visit.url}/ui/definitions/{name}")
    runs = page.get_by_role("region", name="Runs over time")
    expect(runs.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("last 2 runs took: 2 completed")
    )
    expect(runs.get_by_role("row")).to_have_count(3)
    page.set_viewport_size({"width": PHONE, "height": 740})
    assert violations(page) == []
    assert not reaches_sideways(page)


def test_versions_are_compared(visit: Visits, page_stack: Stack) -> None:
    """What differs, in words and by lines; the graph leads to the document; an old one says so; deleted."""
    name = f"compared-{uuid4().hex[:8]}"
    first = DOCUMENT.format(name=name)
    _apply(page_stack, name, first)
    _apply(page_stack, name, first.replace("default: 50", "default: 60") + PUBLISH)
    page = visit(f"/ui/definitions/{name}")
    versions = page.get_by_role("region", name="Versions")
    expect(versions.get_by_role("listitem")).to_have_text(
        [re.compile(r"inputs\.threshold\.default was 50 is 60"), re.compile("publish added")]
    )
    lines = versions.get_by_role("region", name="Lines that differ").locator("tr:is(.add, .del)")
    expect(lines).to_have_count(6)
    expect(lines.first).to_contain_text("default: 50")
    assert violations(page) == []
    page.get_by_role("link", name="Graph").click()
    card = page.get_by_role("button", name="publish, set, line 14")
    expect(card).to_be_visible()
    assert violations(page) == []
    card.press("Enter")
    expect(page).to_have_url(re.compile("tab=document&line=14"))
    expect(page.locator(".pointed")).to_have_text("Line 14")
    expect(page.get_by_role("region", name="The document")).to_contain_text("# applied by a test")
    assert violations(page) == []
    page.get_by_role("link", name="Overview").click()
    versions.get_by_role("button", name="1 2", exact=False).last.click()
    expect(versions.get_by_text("The first version: there is nothing before it.")).to_be_visible()
    versions.get_by_role("link", name="Show version 1").click()
    expect(page.get_by_text("This is not the version in force: that is version 2.")).to_be_visible()
    expect(page.get_by_role("button", name="Start version 1")).to_be_visible()
    page.get_by_role("link", name="Open in the editor").click()
    expect(page.get_by_text("No problems")).to_be_visible()
    page.get_by_role("button", name="Apply…").click()
    dialog = page.get_by_role("dialog", name="Apply the document")
    expect(dialog).to_contain_text(f"Version 1 of {name} takes the place of version 2.")
    expect(dialog.get_by_role("listitem").last).to_contain_text("publish removed")
    assert violations(page) == []
    dialog.get_by_role("button", name="Apply it").click()
    expect(page).to_have_url(f"{visit.url}/ui/definitions/{name}")
    expect(versions.get_by_role("button", name=re.compile("^1 in force"))).to_be_visible()
    visit.allow("status of 404")
    page.goto(f"{visit.url}/ui/definitions/{name}?version=99")
    expect(page.get_by_role("alert")).to_contain_text("there is no version 99 of a definition")
    page.get_by_role("link", name="The version in force").click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page).to_have_url(f"{visit.url}/ui/definitions")
    assert page_stack.client.get(f"/definitions/{name}").status_code == 404
    page.goto(f"{visit.url}/ui/definitions/{name}")
    expect(page.get_by_role("alert")).to_contain_text("There is no such definition")
    expect(page.get_by_role("alert").get_by_role("link", name="All definitions")).to_be_visible()


def test_runs_of_posted_documents_are_told_apart(visit: Visits, page_stack: Stack) -> None:
    """A definition without runs of its own leads to those that only have its name."""
    name = f"posted-{uuid4().hex[:8]}"
    document = {"name": name, "nodes": [{"id": "a", "handler": "set", "config": {"value": 1}}]}
    _apply(page_stack, name, document)
    page_stack.run(document)
    page = visit(f"/ui/definitions/{name}")
    over_time = page.get_by_role("region", name="Runs over time")
    expect(over_time).to_contain_text("No runs yet")
    over_time.get_by_role("link", name="Runs of posted documents of this name").click()
    expect(page.locator("tr[data-run]")).to_have_count(1)


def test_hostile_definitions_and_roles(keyed_visit: Visits, page_stack: Stack) -> None:
    """Markup in names, texts and schemas is text. A role is offered what it may; no list is a dead end."""
    name = f"{MARKUP.split(' ')[0]} src=x onerror=alert(1)> {uuid4().hex[:8]}"
    fields: dict[str, Any] = {
        "constructor": {"type": "string", "enum": [MARKUP, "b"], "default": "b", "description": MARKUP * 9},
        "toString": {"type": "object", "default": {"toString": 1}},
    }
    document: dict[str, Any] = {
        "name": name,
        "description": MARKUP * 9,
        "labels": {"team": "<b>data</b>"},
        "inputs": fields,
        "nodes": [{"id": "a", "handler": "set", "config": {"value": MARKUP}}],
    }
    _apply(page_stack, name, document)
    document["nodes"][0]["config"]["value"] = f"{MARKUP} changed"
    _apply(page_stack, name, document)
    address = f"/ui/definitions/{quote(name, safe='')}"
    page = keyed_visit(address, role="run", width=PHONE)
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x")
    expect(page.locator(".about-it")).to_contain_text("\\u202egnp")
    expect(page.locator(".changes li")).to_contain_text("\\u202egnp changed")
    expect(page.get_by_role("button", name="Delete…")).to_have_count(0)
    expect(page.get_by_role("link", name="Open in the editor")).to_have_count(0)
    assert page.locator("#app img, #app script").count() == 0
    assert page.title() != "harmed"
    assert not reaches_sideways(page)
    page.get_by_role("button", name="Start run").click()
    expect(page).to_have_url(RUN)

    page = keyed_visit(address, role="read")
    expect(page.get_by_role("region", name="Start")).to_contain_text("takes the role run")
    expect(page.get_by_role("button", name="Start run")).to_have_count(0)
    key = {"Authorization": f"Bearer {keyed_visit.key('read')}"}
    path = f"{keyed_visit.url}/definitions/{quote(name, safe='')}/trigger"
    assert httpx.post(path, headers=key, trust_env=False).status_code == 403
    empty = json.dumps({"items": [], "next_cursor": None})
    page.route(
        re.compile("/definitions\\?limit"),
        lambda route: route.fulfill(body=empty, content_type="application/json"),
    )
    page.goto(f"{keyed_visit.url}/ui/definitions")
    expect(page.get_by_role("heading", name="No definitions yet")).to_be_visible()
    expect(page.get_by_text("flowengine apply workflows/")).to_be_visible()
    assert violations(page) == []
