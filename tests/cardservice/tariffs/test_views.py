"""Tariffs over HTTP: an office loads, another approves; no terminal of another role comes near."""

import json
from pathlib import Path
from typing import Any

import pytest

from cardservice.api.fields import to_base64url
from tests.cardservice.services import menus
from tests.support.council import Council, Terminal, new_id

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
    assert office.get("/v1/tariffs/meals").json == {"versions": [], "drafts": []}
    bus = council.terminal("bus-1", "validator")
    assert bus.post(DRAFTS, body(tmp_path)).outcome == (403, "role_not_allowed")
    assert bus.get("/v1/tariffs/meals").outcome == (403, "role_not_allowed")
