"""Tariffs over HTTP: an office loads, another approves; no terminal of another role comes near."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from cardservice.api.fields import to_base64url
from cardservice.audit.models import audit
from pki.request_signatures import sign_request
from tests.cardservice.services import menus
from tests.support.council import ORIGIN, Council, Terminal, new_id

DRAFTS = "/v1/tariff-drafts"


@pytest.fixture
def offices(council: Council) -> tuple[Terminal, Terminal]:
    """Two offices of the council."""
    return council.terminal("office-1", "office"), council.terminal("office-2", "office")


def body(folder: Path, change: menus.Change = lambda _: None) -> dict[str, Any]:
    """The tests' menu as it is sent."""
    file = menus.written(folder, change)
    content = to_base64url(json.dumps(json.loads(file.read_text()), indent=1).encode())
    return {"service": "meals", "files": [{"name": "menu.json", "content": content}]}


def test_one_loads_and_another_approves(
    council: Council, offices: tuple[Terminal, Terminal], tmp_path: Path
) -> None:
    """The whole way; a draft shows its preview to whoever approves."""
    first, second = offices
    made = first.post(DRAFTS, body(tmp_path))
    assert (made.status, made.json["state"], made.json["author"]) == (200, "open", "terminal:office-1")
    path = f"{DRAFTS}/{made.json['draft']}"
    assert first.post(f"{path}/approval", {}).outcome == (403, "approval_refused")
    seen = second.get(path)
    assert seen.json == made.json
    assert any(change["after"] == "2.50 GBP" for change in seen.json["preview"]["changes"])
    assert [draft["draft"] for draft in second.get("/v1/tariffs/meals").json["drafts"]] == [
        made.json["draft"]
    ]
    assert second.post(f"{path}/approval", {}).json["closed_by"] == "terminal:office-2"
    assert second.post(f"{path}/withdrawal", {"reason": "late"}).outcome == (409, "draft_closed")
    [version] = second.get("/v1/tariffs/meals").json["versions"]
    assert (version["version"], version["approved_by"]) == (made.json["version"], "terminal:office-2")
    again = first.post(DRAFTS, body(tmp_path))
    assert (again.json["draft"], again.json["state"]) == (None, "approved")


def test_what_is_refused(council: Council, offices: tuple[Terminal, Terminal], tmp_path: Path) -> None:
    """With file and line where it is the tariff's fault; nothing of it is kept."""
    office, _ = offices
    wrong = office.post(DRAFTS, body(tmp_path, lambda menu: menu["items"][0].update(price="2.5.0")))
    assert wrong.outcome == (422, "tariff_invalid")
    assert wrong.json["data"]["file"] == "menu.json"
    assert wrong.json["data"]["line"] > 1
    twice = body(tmp_path)
    twice["files"] *= 2
    assert office.post(DRAFTS, twice).outcome == (400, "malformed")
    for name in ("../menu.json", ".menu", "a/b", ""):
        away = body(tmp_path)
        away["files"][0]["name"] = name
        assert office.post(DRAFTS, away).outcome == (400, "malformed")
    assert office.post(DRAFTS, body(tmp_path) | {"service": "ferry"}).outcome == (404, "service_unknown")
    assert office.get("/v1/tariffs/ferry").outcome == (404, "service_unknown")
    assert office.get(f"{DRAFTS}/{new_id()}").outcome == (404, "draft_unknown")
    assert office.get("/v1/tariffs/meals").json == {"versions": [], "drafts": [], "next": None}
    bus = council.terminal("bus-1", "validator")
    assert bus.post(DRAFTS, body(tmp_path)).outcome == (403, "role_not_allowed")
    assert bus.get("/v1/tariffs/meals").outcome == (403, "role_not_allowed")


def test_page_by_page(council: Council, offices: tuple[Terminal, Terminal], tmp_path: Path) -> None:
    """From version to version, none twice and none left out, also of those that begin at once."""
    office, _ = offices

    def at_price(number: int) -> menus.Change:
        return lambda menu: menu["items"][0].update(price=f"2.{number}0")

    for number in range(5):
        council.load("meals", menus.written(tmp_path, at_price(number)))
    whole = office.get("/v1/tariffs/meals").json
    names = [each["version"] for each in whole["versions"]]
    assert (len(names), whole["next"]) == (5, None)
    for limit in range(1, 6):
        found: list[str] = []
        after = ""
        while True:
            page = office.get(f"/v1/tariffs/meals?limit={limit}{after}").json
            found += [each["version"] for each in page["versions"]]
            if page["next"] is None:
                break
            assert len(page["versions"]) == limit
            after = f"&after={page['next']}"
        assert found == names
    for query in ("limit=0", "limit=101", "limit=x", "after=nowhere", "after=", "page=2"):
        assert office.get(f"/v1/tariffs/meals?{query}").outcome == (400, "malformed")


def test_an_order_that_is_sent_again(
    council: Council, offices: tuple[Terminal, Terminal], tmp_path: Path
) -> None:
    """Its answer was lost: the same office gets it again, and it is in the audit log once."""
    first, second = offices
    made = first.post(DRAFTS, body(tmp_path)).json
    assert first.post(DRAFTS, body(tmp_path)).json == made
    path = f"{DRAFTS}/{made['draft']}"
    done = second.post(f"{path}/approval", {})
    assert second.post(f"{path}/approval", {}).json == done.json
    other = first.post(DRAFTS, body(tmp_path, lambda menu: menu["items"][0].update(price="2.90"))).json
    path = f"{DRAFTS}/{other['draft']}"
    gone = second.post(f"{path}/withdrawal", {"reason": "a slip"})
    assert second.post(f"{path}/withdrawal", {"reason": "a slip"}).json == gone.json
    assert second.post(f"{path}/withdrawal", {"reason": "another"}).outcome == (409, "draft_closed")
    assert first.post(f"{path}/withdrawal", {"reason": "a slip"}).outcome == (409, "draft_closed")
    with council.context.database.reading() as connection:
        noted = list(connection.execute(select(audit.c.action).order_by(audit.c.id)).scalars())
    of_drafts = [each for each in noted if each in {"tariff.draft", "tariff.approve", "tariff.withdraw"}]
    assert of_drafts == ["tariff.draft", "tariff.approve", "tariff.draft", "tariff.withdraw"]


def test_what_has_not_changed_is_not_sent_again(council: Council, offices: tuple[Terminal, Terminal]) -> None:
    """By its tag; and nobody on the way keeps what a terminal is told."""
    office, _ = offices
    path = "/v1/tariffs/meals"

    def asked(**headers: str) -> TestResponse:
        signed = sign_request("GET", ORIGIN + path, headers, None, office.key, office.id, office.clock())
        return council.client.get(path, headers=signed)

    first = asked()
    assert first.headers["Cache-Control"] == "no-cache, private"
    again = asked(**{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    council.load_menu()
    changed = asked(**{"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.get_json()["drafts"]) == (200, [])
