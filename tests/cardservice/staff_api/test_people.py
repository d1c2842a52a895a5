"""Cardholders, applications and imports over HTTP: each read is noted, changes do not run into each other."""

from datetime import date
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from cardservice.api.fields import to_base64url
from cardservice.cardholders.accesses import accesses
from cardservice.cardholders.details import Noting, set_born_on
from cardservice.cardholders.guardians import Days, May, add_guardian
from cardservice.staff.roles import Role
from tests.cardservice.staff.browsing import Browsing
from tests.cardservice.staff_api.conftest import Come
from tests.support.council import Council

ROLL = "number,name,born_on,form,allergens\n1,Ava Reed,2016-04-30,5B,milk;nuts\n2,Noah Reed,2018-01-09,3A,\n"


def made(issuer: Browsing, name: str = "Robin Hale") -> str:
    """Somebody who was registered."""
    answer = issuer.post("/v1/cardholders", {"name": name}, Idempotency_Key=f"made-{uuid4().hex}")
    assert answer.status == 200, answer
    return f"/v1/cardholders/{answer.json['cardholder']}"


def seen(somebody: Browsing, path: str) -> tuple[dict[str, Any], str]:
    """A record, and its tag."""
    client = somebody.council.client.application.test_client(use_cookies=False)
    response = client.get(path, headers={"Authorization": f"Bearer {somebody.token}"})
    assert response.status_code == 200, response.data
    return response.get_json(), response.headers["ETag"]


def test_a_record_is_found_shown_and_changed_and_all_of_it_is_noted(council: Council, come: Come) -> None:
    """With the signed-in member; the person can be told of it."""
    del council
    issuer, desk = come("ida", Role.ISSUER), come("ben", Role.DESK)
    path = made(issuer)
    found = desk.post("/v1/cardholders/search", {"name": "rob hal"}).json
    assert [each["name"] for each in found["cardholders"]] == ["Robin Hale"]
    record, tag = seen(desk, path)
    assert (record["name"], record["address"]) == ("Robin Hale", None)
    change = {
        "born_on": "1980-02-29",
        "address": {"paon": "7", "street": "Mill Lane", "postcode": "AB1 2CD"},
        "flags": {"protected_address": True},
        "preferences": {"wanted": ["larger_text"], "language": "cy"},
        "consents": {"notices": {"given": True, "wording": "2026-1"}},
        "allergens": ["milk"],
        "form": None,
    }
    assert issuer.post(f"{path}/changes", change).outcome == (428, "if_match_missing")
    changed = issuer.post(f"{path}/changes", change, If_Match=tag)
    assert changed.status == 200, changed
    assert (changed.json["born_on"], changed.json["address"]) == ("1980-02-29", "protected")
    # Whoever has looked before changes nothing over it.
    late = issuer.post(f"{path}/changes", {"form": "5B"}, If_Match=tag)
    assert late.outcome == (412, "changed_meanwhile")
    assert seen(desk, path)[0]["form"] is None
    because = {"because": "a letter came back"}
    assert desk.post(f"{path}/protected-address", because).outcome == (403, "right_missing")
    why = issuer.post(f"{path}/protected-address", because)
    assert why.json["address"]["street"] == "Mill Lane"
    told = desk.get(f"{path}/accesses").json["accesses"]
    pages: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = desk.get(f"{path}/accesses?limit=2{after and f'&after={quote(after)}'}").json
        pages += page["accesses"]
        after = page["next"]
    # Looking at each page is told, too.
    assert pages[: len(told)] == told
    assert len(pages) > len(told)
    assert desk.get(f"{path}/accesses?after=2026-06-15~x~y").outcome == (400, "malformed")
    reads = [(each["actor"], each["action"]) for each in told if each["read"]]
    assert reads == [
        ("staff:ben", "cardholder.find"),
        ("staff:ben", "cardholder.show"),
        ("staff:ida", "cardholder.show"),
        ("staff:ben", "cardholder.show"),
        ("staff:ida", "cardholder.show"),
    ]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_is_wrong_changes_nothing(come: Come) -> None:
    """All of a change or nothing of it."""
    issuer = come("ida", Role.ISSUER)
    path = made(issuer)
    _, tag = seen(issuer, path)
    for wrong, outcome in (
        ({"form": "5B", "address": {"postcode": "nonsense"}}, (422, "order_invalid")),
        ({"form": "5B", "born_on": "2980-01-01"}, (422, "order_invalid")),
        ({"form": "5B", "surname": "Hale"}, (400, "malformed")),
        ({"form": "5B", "flags": {"rich": True}}, (400, "malformed")),
        ({}, (400, "malformed")),
    ):
        assert issuer.post(f"{path}/changes", wrong, If_Match=tag).outcome == outcome, wrong
    record, unchanged = seen(issuer, path)
    assert (record["form"], unchanged) == (None, tag)
    assert issuer.post("/v1/cardholders/search", {}).outcome == (422, "order_invalid")
    assert issuer.get(f"/v1/cardholders/{uuid4()}").outcome == (404, "cardholder_unknown")


def test_somebody_is_exported_and_erased(council: Council, come: Come) -> None:
    issuer, card = come("ida", Role.ISSUER), council.card(top_up_minor=500)
    path = f"/v1/cardholders/{card.holder}"
    exported = issuer.post(f"{path}/export", {}).json["record"]
    assert (exported["record"]["name"], len(exported["cards"])) == ("Morgan Reed", 1)
    assert issuer.get(f"{path}/erasure").json["objections"][0]["reason"] == "balance_open"
    refused = issuer.post(f"{path}/erasure", {"erase": str(card.holder)})
    assert (refused.outcome, refused.json["data"]) == ((409, "erasure_refused"), {"reason": "balance_open"})
    other = made(issuer)
    holder = other.rpartition("/")[2]
    assert issuer.post(f"{other}/erasure", {"erase": str(card.holder)}).outcome == (400, "malformed")
    assert issuer.post(f"{other}/erasure", {"erase": holder}).status == 200
    assert issuer.get(other).outcome == (404, "cardholder_unknown")


def test_who_asks_for_a_record_is_told_what_is_theirs(council: Council, come: Come) -> None:
    """The person all of it; a guardian who may see it not of others; and nobody else anything."""
    issuer, card, other = come("ida", Role.ISSUER), council.card("child"), council.card()
    path, noted = f"/v1/cardholders/{card.holder}/export", council.clock()
    with council.context.database.begin() as connection:
        noting = Noting(council.kek, card.holder, "test", noted, council.zone)
        set_born_on(connection, noting, date(noted.year - 9, 1, 1))
    refused = issuer.post(path, {"asked_by": str(other.holder)})
    assert (refused.outcome, refused.json["data"]) == ((409, "asker_refused"), {"reason": "not_a_guardian"})
    with council.context.database.begin() as connection:
        add_guardian(connection, noting, other.holder, "parent", {May.SEE}, Days(noted.date()), 16)
    told = issuer.post(path, {"asked_by": str(other.holder)}).json["record"]
    assert (told["cardholder"], len(told["guardians"])) == (str(card.holder), 1)
    assert issuer.post(path, {"asked_by": str(card.holder)}).status == 200
    assert issuer.post(path, {"asked_by": str(uuid4())}).outcome == (404, "cardholder_unknown")
    assert issuer.post(path, {"asked_by": "kim"}).outcome == (400, "malformed")
    with council.context.database.reading() as connection:
        done = [each.action for each in accesses(connection, card.holder)]
    assert [done.count(each) for each in ("guardian.refused", "guardian.acted", "cardholder.export")] == [
        1,
        1,
        2,
    ]


def test_an_application_is_made_approved_and_ordered(council: Council, come: Come) -> None:
    """Once all proofs were seen; what stands against it is said."""
    issuer = come("ida", Role.ISSUER)
    body = {"kind": "citizen", "name": "Robin Hale"}
    first = issuer.post("/v1/applications", body, Idempotency_Key="apply-001").json
    assert issuer.post("/v1/applications", body, Idempotency_Key="apply-001").json == first
    path, person = f"/v1/applications/{first['application']}", f"/v1/cardholders/{first['cardholder']}"
    [listed] = issuer.get("/v1/applications").json["applications"]
    assert (listed["application"], listed["state"]) == (first["application"], "open")
    refused = issuer.post(f"{path}/approval", {})
    assert refused.outcome == (409, "not_eligible")
    assert issuer.get(path).json["against"] == refused.json["data"]["missing"]
    for kind in ("identity", "residence"):
        noted = {"kind": kind, "reference": "a letter of 3 May"}
        noted |= {} if kind == "identity" else {"review_on": "2027-06-01"}
        assert issuer.post(f"{person}/proofs", noted, Idempotency_Key=f"proof-{kind}").status == 200
    _, tag = seen(issuer, person)
    change = {"born_on": "1980-02-29"}
    assert issuer.post(f"{person}/changes", change, If_Match=tag).status == 200
    shown = issuer.get(path).json
    assert (shown["against"], len(shown["proofs"])) == ([], 2)
    assert issuer.post(f"{path}/approval", {"delivery": "post"}).json["state"] == "approved"
    assert issuer.get(path).json["card"] is not None
    assert issuer.post(f"{path}/refusal", {"reason": "late"}).outcome == (409, "application_closed")
    del council


def test_pupils_are_imported_tried_and_undone(come: Come) -> None:
    issuer = come("ida", Role.ISSUER)
    body = {"school": "ashcombe-primary", "content": to_base64url(ROLL.encode())}
    tried = issuer.post("/v1/pupil-imports", {**body, "dry_run": True}).json
    assert (tried["import"], [each["line"] for each in tried["joined"]]) == (None, [2, 3])
    assert issuer.get("/v1/pupil-imports").json["imports"] == []
    done = issuer.post("/v1/pupil-imports", body).json
    assert len(done["joined"]) == 2
    wrong = ROLL.replace("2018-01-09", "1818-01-09").encode()
    refused = issuer.post("/v1/pupil-imports", {**body, "content": to_base64url(wrong)})
    assert refused.outcome == (422, "import_refused")
    assert refused.json["data"]["problems"][0]["line"] == 3
    [run] = issuer.get("/v1/pupil-imports").json["imports"]
    assert (run["import"], run["by"], run["joined"]) == (done["import"], "staff:ida", 2)
    undoing = f"/v1/pupil-imports/{done['import']}/undoing"
    assert issuer.post(undoing, {}).json == {"erased": 2, "kept": []}
    assert issuer.post(undoing, {}).outcome == (409, "undo_refused")
