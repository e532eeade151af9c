"""OFREP for applications in browsers: which origins may read it, and that nothing else of the server may be read by a page."""

from dataclasses import replace

import pytest
import requests
from typer.testing import CliRunner

from tests.flags.support import ServerThread, StartServer, document, flag
from tidegate.__main__ import app
from tidegate.flags.flag_settings import FlagServerSettings

PATH = "/ofrep/v1/evaluate/flags"
ALLOWED, OTHER = "https://shop.example", "https://evil.example"
ASKED = "content-type,flagd-selector,if-none-match"


@pytest.fixture
def open_server(start_server: StartServer) -> ServerThread:
    """A server that pages of one origin may ask."""
    return start_server({"shop/flags": document(search=flag(on=True))}, cors_origins=(ALLOWED, "http://localhost:3000"))


def preflight(server: ServerThread, origin: str, path: str = PATH, method: str = "POST", asked: str = ASKED) -> requests.Response:
    """What a browser asks before a page's request."""
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": asked}
    return requests.options(f"{server.url}{path}", headers=headers, timeout=5)


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


def grants(answer: requests.Response) -> list[str]:
    return [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("path", [PATH, f"{PATH}/search", f"/sets/shop/flags{PATH}", f"/sets/shop/flags{PATH}/search"])
@pytest.mark.parametrize("origin", [ALLOWED, "http://localhost:3000"])
def test_a_page_of_an_allowed_origin_may_ask_and_is_answered(open_server: ServerThread, path: str, origin: str) -> None:
    asked = preflight(open_server, origin, path)
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    assert names(asked.headers["Access-Control-Allow-Methods"]) == {"post"}
    assert names(ASKED) <= names(asked.headers["Access-Control-Allow-Headers"])
    assert int(asked.headers["Access-Control-Max-Age"]) > 0
    answer = requests.post(f"{open_server.url}{path}", json={}, headers={"Origin": origin}, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert {"etag", "retry-after"} <= names(answer.headers["Access-Control-Expose-Headers"])
    for each in (asked, answer):
        assert "origin" in names(each.headers["Vary"])
        assert "Access-Control-Allow-Credentials" not in each.headers


def test_what_did_not_change_and_what_is_wrong_can_be_read_by_a_page_too(open_server: ServerThread) -> None:
    etag = open_server.evaluate("", {}, Origin=ALLOWED).headers["ETag"]
    answers = [
        open_server.evaluate("", {}, Origin=ALLOWED, **{"If-None-Match": etag}),
        open_server.evaluate("/serach", {}, Origin=ALLOWED),
        open_server.evaluate("", "{", Origin=ALLOWED),
        requests.post(f"{open_server.url}/sets/shop{PATH}", json={}, headers={"Origin": ALLOWED}, timeout=5),
    ]
    assert [each.status_code for each in answers] == [304, 404, 400, 404]
    assert {each.headers.get("Access-Control-Allow-Origin") for each in answers} == {ALLOWED}


LIKE_IT = ["https://shop.example.evil.example", "https://shop.example:8443", "http://shop.example"]


@pytest.mark.parametrize("origin", [OTHER, *LIKE_IT, "null", ""])
def test_another_origin_is_granted_nothing(open_server: ServerThread, origin: str) -> None:
    answer = open_server.evaluate("/search", {}, Origin=origin)
    assert answer.status_code == 200, "who is no browser reads it anyway"
    for each in (preflight(open_server, origin), answer):
        assert grants(each) == []
        assert "origin" in names(each.headers["Vary"]), "or a cache would give the page of one origin what another one got"


def test_by_default_no_page_may_ask(server: ServerThread) -> None:
    for each in (preflight(server, ALLOWED), server.evaluate("/search", {}, Origin=ALLOWED)):
        assert grants(each) == []
    assert preflight(server, ALLOWED).status_code == 405


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_nothing_but_ofrep_may_be_read_by_a_page(open_server: ServerThread, path: str) -> None:
    assert grants(preflight(open_server, ALLOWED, path, "GET")) == []
    assert grants(requests.get(f"{open_server.url}{path}", headers={"Origin": ALLOWED}, timeout=5)) == []


@pytest.mark.parametrize(
    "origin", ["https://shop.example", "http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443", "capacitor://localhost"]
)
def test_an_origin_is_what_a_browser_sends(settings: FlagServerSettings, origin: str) -> None:
    assert replace(settings, cors_origins=(origin,)).cors_origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "",
        "shop.example",
        "https://",
        "https://*.shop.example",
        "https://shop.example/",
        "https://shop.example/app",
        "https://Shop.example",
        "HTTPS://shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "http://shop.example:0",
        "http://shop.example:65536",
        "https://user@shop.example",
        "https://shop.example https://other.example",
        "https://grüße.example",
        "https://shop.example\n",
    ],
)
def test_what_no_browser_sends_is_refused_at_the_start_with_what_would_be_right(settings: FlagServerSettings, origin: str) -> None:
    with pytest.raises(ValueError, match=r"such as https://shop\.example or http://localhost:3000") as refused:
        replace(settings, cors_origins=(ALLOWED, origin))
    assert repr(origin) in str(refused.value)


def test_the_program_says_so_and_ends() -> None:
    ended = CliRunner().invoke(app, ["flags", "--cors-origin=https://shop.example", "--cors-origin=*"])
    assert ended.exit_code == 2
    assert "is not an origin as browsers send it" in " ".join(ended.output.split())
