"""One browser and one stack for all tests of the page; each test opens pages of its own.

The stack is open; `keyed_api` is a second API on the same store that asks for keys. Executions of all tests
are in one store: a test finds its own by a name or a label that no other has.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from flowengine.access.roles import Role
from flowengine.api.access.api_keys import new_key
from tests.e2e.conftest import ODD_HANDLERS
from tests.support.rigs.browser import CHROMIUM, WITHIN_MS, Chromium, Visits
from tests.support.rigs.stack_processes import FLOWENGINE, START_S, Stack, running_stack
from tests.support.waiting import wait_until

ROLES: tuple[Role, ...] = ("read", "decide", "run", "author", "operate", "admin")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The session's browser. A test is skipped where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: install Debian's package chromium")
    expect.set_options(timeout=WITHIN_MS)
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def page_stack(chromium: Chromium) -> Iterator[Stack]:
    """The session's stack, open to all. What tests leave waiting in it may stay."""
    settings = {"FLOWENGINE_HANDLERS": ODD_HANDLERS, "FLOWENGINE_RETRY_BASE_SECONDS": "0.05"}
    with running_stack(settings=settings, settles=False) as stack:
        yield stack


@pytest.fixture(scope="session")
def keyed_api(page_stack: Stack) -> dict[str, tuple[str, str]]:
    """An API on the same store that asks for keys: by role, its address and a key."""
    made = {role: new_key(role, role) for role in ROLES}
    entries = ",".join(entry for _, entry in made.values())
    argv = [FLOWENGINE, "api", "--port", "0"]
    api = page_stack.launch("keyed-api", argv, FLOWENGINE_API_KEYS=entries)
    wait_until(lambda: api.records("api.started"), within_s=START_S, what="the start of the API with keys")
    url = f"http://127.0.0.1:{api.records('api.started')[0]['port']}"
    return {role: (url, key) for role, (key, _) in made.items()}


@pytest.fixture
def visit(chromium: Chromium, page_stack: Stack) -> Iterator[Visits]:
    """Opens pages of the stack. The test fails if one of them has an error in its console."""
    with chromium.in_hand() as browser:
        visits = Visits(browser, page_stack.url)
        yield visits
        visits.done()


@pytest.fixture
def keyed_visit(
    chromium: Chromium, page_stack: Stack, keyed_api: dict[str, tuple[str, str]]
) -> Iterator[Visits]:
    """Opens pages of the API that asks for keys: `keyed_visit("/ui/runs", role="read")`."""
    with chromium.in_hand() as browser:
        (url, _) = keyed_api["read"]
        visits = Visits(browser, url, keyed_api)
        yield visits
        visits.done()
