"""Terminals, providers, accounts, the trail, refunds over HTTP."""

import pytest

from cardservice.staff.roles import Role
from tests.cardservice.api.contract import HEALTH
from tests.cardservice.staff_api.conftest import Come
from tests.support.council import Council, message, new_id, request_for


def test_terminals_are_seen_with_their_health_and_revoked(council: Council, come: Come) -> None:
    """Of a provider its own alone."""
    council.provider("school-meals")
    ann, pat = come("ann"), come("pat", Role.PROVIDER, provider="vale-buses")
    bus, till = council.terminal("bus-1"), council.terminal("till-1", "till", provider="school-meals")
    assert bus.post("/v1/health", HEALTH).status == 200
    listed = ann.get("/v1/terminals?limit=1").json
    assert ([each["terminal"] for each in listed["terminals"]], listed["next"]) == (["bus-1"], "bus-1")
    assert listed["terminals"][0]["version"] == "0.1"
    assert ann.get("/v1/terminals?after=bus-1").json["terminals"][0]["terminal"] == "till-1"
    assert [each["terminal"] for each in pat.get("/v1/terminals").json["terminals"]] == ["bus-1"]
    assert pat.get("/v1/terminals/till-1").outcome == (404, "terminal_missing")
    assert [each["provider"] for each in pat.get("/v1/providers").json["providers"]] == ["vale-buses"]
    assert pat.get("/v1/providers/school-meals/card-keys").outcome == (403, "not_theirs")
    assert pat.get("/v1/providers/vale-buses/card-keys").json == {"keys": []}
    revocation = "/v1/terminals/till-1/revocation"
    assert pat.post(revocation, {"reason": "stolen"}).outcome == (403, "right_missing")
    assert ann.post(revocation, {"reason": "stolen"}).json["state"] == "revoked"
    assert till.get("/v1/nonce").outcome == (403, "terminal_revoked")
    assert ann.post(revocation, {"reason": "stolen"}).outcome == (422, "order_invalid")
    assert ann.post("/v1/terminals/nobody/revocation", {"reason": "x"}).outcome == (404, "terminal_missing")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_accounts_are_kept(council: Council, come: Come) -> None:
    """Nobody gives a role to themselves, and whoever is disabled is out at once."""
    ann = come("ann")
    body = {"staff": "ben", "name": "Ben Hill", "roles": ["desk"]}
    assert ann.post("/v1/staff/members", body).json["roles"] == ["desk"]
    assert ann.post("/v1/staff/members", body).outcome == (409, "already_exists")
    path = "/v1/staff/members/ben"
    assert ann.post(f"{path}/roles", {"role": "finance"}).json["roles"] == ["desk", "finance"]
    assert ann.post(f"{path}/roles/removal", {"role": "desk"}).json["roles"] == ["finance"]
    own = ann.post("/v1/staff/members/ann/roles", {"role": "finance"})
    assert own.outcome == (422, "order_invalid")
    last = ann.post("/v1/staff/members/ann/access", {"active": False})
    assert last.outcome == (422, "order_invalid")
    code = ann.post(f"{path}/invitation", {}).json["code"]
    sent = {"staff": "ben", "code": code}
    ben = ann.came_in(ann.post("/v1/staff/sessions/enrolment", sent))
    [session] = ann.get(f"{path}/sessions").json["sessions"]
    assert session["method"] == "enrolment"
    assert ann.post(f"{path}/access", {"active": False}).json["active"] is False
    assert ben.get("/v1/staff/me").outcome == (401, "session_invalid")
    assert ann.get("/v1/staff/members/nobody/sessions").outcome == (404, "staff_unknown")
    recovery = ann.post(f"{path}/recovery", {}).json
    [waiting] = ann.get("/v1/second-person").json["waiting"]
    assert (waiting["id"], waiting["about"]) == (recovery["id"], {"staff": "ben"})
    del council


def test_the_trail_is_searched_by_who_what_whom_and_when(council: Council, come: Come) -> None:
    """Page by page; that it was searched is in it."""
    ann, desk, card = come("ann"), come("ben", Role.DESK), council.card()
    council.clock.advance(minutes=1)
    assert desk.post(f"/v1/cards/{card.id}/suspension", {"reason": "found"}).status == 200
    moment = "2026-06-15T10:01:00.000Z"

    def found(**wanted: object) -> list[str]:
        answer = ann.post("/v1/audit/search", wanted)
        assert answer.status == 200, answer
        return [each["action"] for each in answer.json["entries"]]

    assert found(actor="staff:ben", action="card.", subject=str(card.id)) == ["card.suspended"]
    assert found(subject="POST /v1/cards/<uuid:card_id>/suspension") == ["staff.used"]
    assert found(actor="staff:ben", since=moment) == ["card.suspended", "staff.used"]
    assert "card.suspended" not in found(before=moment)
    first = ann.post("/v1/audit/search", {"limit": 1}).json
    assert first["entries"][0]["action"] == "staff.used"
    second = ann.post("/v1/audit/search", {"limit": 1, "after": first["next"]}).json
    assert second["entries"][0]["id"] < first["entries"][0]["id"]
    assert found(actor="staff:ann", action="audit.search") != []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_large_refund_waits_for_a_second_person(
    council: Council, come: Come, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small one does not; each is given back once."""
    ben, cat = come("ben", Role.DESK), come("cat", Role.DESK)
    bus, card = council.terminal("bus-1"), council.card(top_up_minor=1000)
    rides = [request_for(bus, card) for _ in range(2)]
    for ride in rides:
        assert bus.post("/v1/authorisations", message(ride, card)).json["decision"] == "approved"
    small = {"id": str(new_id()), "sale": str(rides[0].id)}
    given = ben.post("/v1/staff/refunds", small).json
    assert (given["amount_minor"], given["waits"], given["repeated"]) == (240, None, False)
    again = ben.post("/v1/staff/refunds", small)
    assert (again.status, again.json["repeated"]) == (200, True), again
    assert council.balances(card.payer) == (760, 0)
    unknown = {**small, "id": str(new_id()), "sale": str(new_id())}
    assert ben.post("/v1/staff/refunds", unknown).outcome == (404, "transaction_unknown")
    monkeypatch.setattr("cardservice.staff.small_refunds.LIMIT_OF_STAFF", 200)
    large = {"id": str(new_id()), "sale": str(rides[1].id)}
    waits = ben.post("/v1/staff/refunds", large).json["waits"]
    assert council.balances(card.payer) == (760, 0)
    agreement = f"/v1/second-person/{waits}/agreement"
    assert ben.post(agreement, {}).outcome == (409, "second_person_refused")
    assert cat.post(agreement, {}).json["amount_minor"] == 240
    assert council.balances(card.payer) == (1000, 0)
    assert cat.post(agreement, {}).json["amount_minor"] == 240
    assert council.balances(card.payer) == (1000, 0)
