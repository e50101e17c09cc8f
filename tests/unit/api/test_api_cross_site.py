"""Requests that a page of another site makes a browser send: refused, without harm to anybody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowengine.api.access.api_keys import new_key
from flowengine.api.access.cross_site import is_cross_site
from flowengine.settings import Settings
from tests.support.servers.served_api import ServedApi, served_api

ONE_NODE = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
HOST = ("host", "127.0.0.1:8000")
OWN = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def refused(*headers: tuple[str, str], method: str = "POST") -> bool:
    return is_cross_site(method, [(name.encode(), value.encode()) for name, value in headers])


@pytest.mark.proves("cross-site")
def test_page_of_another_site_starts_nothing(api: ServedApi) -> None:
    """The simple POST that any page may send, without asking: 403, and the execution stays pending."""
    execution_id = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
    path = f"/workflow/trigger/{execution_id}"
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": f"http://127.0.0.1:{api.port + 1}"},
        {"Origin": "null"},
    ):
        answer = api.client.post(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
    assert api.client.get(f"/workflows/{execution_id}").json()["status"] == "pending"


def test_pages_of_this_service_and_other_callers_may(api: ServedApi) -> None:
    """/docs in a new browser, in one that sends only Origin, and a caller that is no browser."""
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": f"http://127.0.0.1:{api.port}"}, {}):
        assert api.client.post("/workflow", json=ONE_NODE, headers=headers).status_code == 201


def test_every_unsafe_method_of_every_path_is_refused(api: ServedApi) -> None:
    """What routes come later is protected already; a key makes no difference."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/workflow", "/health", "/nothing"):
            answer = api.client.request(method, path, headers={"Sec-Fetch-Site": "cross-site"})
            assert answer.status_code == 403
    secret, entry = new_key("a")
    with served_api(Settings(api_keys=(entry,))) as closed:
        headers = {"Authorization": f"Bearer {secret}", "Origin": "https://evil.example"}
        assert closed.client.post("/workflow", json=ONE_NODE, headers=headers).status_code == 403


def test_links_from_other_sites_may_be_followed(api: ServedApi) -> None:
    """Reading changes nothing, and no other page can see what was read."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert api.client.get("/health", headers=headers).status_code == 200
    answer = api.client.options("/workflow", headers=headers)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:8001", "http://localhost:8000",
        "http://evil@127.0.0.1:8000", "http://127.0.0.1:8000@evil", "http://127.0.0.1:8000/",
        "http://127.0.0.1:x",
        "http://127.0.0.1:8000.evil", "ftp://127.0.0.1:8000", "127.0.0.1:8000", "//127.0.0.1:8000", "null",
        "", f"{OWN}, {OWN}", f"{OWN}?", f"{OWN}#", "http://127.0.0.1:99999", "http://[127.0.0.1]:8000",
    ],
)  # fmt: skip
def test_origin_that_is_not_ours_is_refused(origin: str) -> None:
    """Name and port, as a browser writes them, and nothing else."""
    assert refused(HOST, ("origin", origin))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OWN, "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://flows.example.com", "flows.example.com"),
        ("https://flows.example.com", "flows.example.com:443"),
        ("http://flows.example.com", "flows.example.com:80"),
        ("https://flows.example.com", "Flows.Example.com"),
    ],
)
def test_own_origin_is_known_behind_a_proxy_too(origin: str, host: str) -> None:
    """The host name that the caller used is passed on; the default port may be left out."""
    assert not refused(("host", host), ("origin", origin))


def test_sec_fetch_site_decides_where_it_is_sent() -> None:
    """A browser that sends it sends it right; what is sent twice or has another value is not believed."""
    for value in ("cross-site", "same-site", "Same-Origin", "", "same-origin, none"):
        assert refused(HOST, ("sec-fetch-site", value), ("origin", OWN))
    assert refused(HOST, ("sec-fetch-site", "none"), ("sec-fetch-site", "none"))
    assert refused(HOST, ("origin", OWN), ("origin", OWN))
    assert refused(("origin", OWN)), "no host name, nothing to compare with"
    for value in ("same-origin", "none"):
        assert not refused(HOST, ("sec-fetch-site", value), ("origin", "https://elsewhere.example"))
