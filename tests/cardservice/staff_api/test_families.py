"""Guardians, payers, photos, proofs and reviews over HTTP: what the commands do, and all of it noted."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from cardservice.api.fields import to_base64url
from cardservice.cardholders.photos import MAX_BYTES
from cardservice.staff.roles import Role
from tests.cardservice.cardholders.test_photos import SECRET, file_of, halves, noise
from tests.cardservice.staff.browsing import Browsing, signed_in
from tests.cardservice.staff_api.conftest import Come
from tests.cardservice.staff_api.test_people import made, seen
from tests.support.council import START, Council, Reply, from_base64url

ORDER = "Family Court at Ashcombe 17/2026"
TODAY = START.date()


def ok(answer: Reply) -> Any:
    """What was answered."""
    assert answer.status == 200, answer
    return answer.json


def keyed(somebody: Browsing, path: str, body: dict[str, Any]) -> Reply:
    """A POST of what makes something."""
    return somebody.post(path, body, Idempotency_Key=f"key-{uuid4().hex}")


def changed(issuer: Browsing, path: str, what: dict[str, Any]) -> dict[str, Any]:
    """A record, once something of it was noted."""
    _, tag = seen(issuer, path)
    answer: dict[str, Any] = ok(issuer.post(f"{path}/changes", what, If_Match=tag))
    return answer


def born(issuer: Browsing, name: str, day: str) -> str:
    """Somebody with a date of birth."""
    path = made(issuer, name)
    changed(issuer, path, {"born_on": day})
    return path


def id_of(path: str) -> str:
    """Whose record it is."""
    return path.rpartition("/")[2]


def reads(issuer: Browsing, path: str) -> list[tuple[str, str]]:
    """Who has read a record, as the person is told."""
    told = ok(issuer.get(f"{path}/accesses"))["accesses"]
    return [(each["actor"], each["action"]) for each in told if each["read"]]


def test_guardians_are_kept_and_act_for_whom_they_may(council: Council, come: Come) -> None:
    """A bar beats what was given; that they were looked at is told to each of them."""
    issuer, desk = come("ida", Role.ISSUER), come("ben", Role.DESK)
    ava, kim, lee = (born(issuer, *each) for each in PEOPLE)
    body = {"person": id_of(kim), "may": ["pay"], "relation": "carer"}
    given = issuer.post(f"{ava}/guardians", body, Idempotency_Key="guardian-1")
    assert issuer.post(f"{ava}/guardians", body, Idempotency_Key="guardian-1").json == ok(given)
    assert desk.post(f"{ava}/guardians", body, Idempotency_Key="guardian-2").outcome == (403, "right_missing")
    [child] = ok(desk.get(f"{kim}/family"))["children"]
    assert (child["cardholder"], child["may"]) == (id_of(ava), ["pay"])
    family = ok(keyed(desk, "/v1/payers", {}))["payer"]
    council.clock.advance(seconds=1)
    asked = {"payer": family, "asked_by": id_of(lee)}
    refused = keyed(desk, f"{ava}/payers", asked)
    assert (refused.outcome, refused.json["data"]) == ((409, "asker_refused"), {"reason": "not_a_guardian"})
    assert ok(keyed(desk, f"{ava}/payers", {**asked, "asked_by": id_of(kim)}))["payer"] == family
    bar = ok(keyed(issuer, f"{ava}/bars", {"person": id_of(kim), "order": ORDER}))["guardianship"]
    later = {"payer": family, "since": "2026-09-01T00:00:00.000Z", "asked_by": id_of(kim)}
    assert keyed(desk, f"{ava}/payers", later).json["data"] == {"reason": "barred"}
    listed = ok(desk.get(f"{ava}/guardians"))["guardians"]
    assert [(each["barred_by"], each["relation"]) for each in listed] == [(None, "carer"), (ORDER, None)]
    assert ok(desk.get(f"{kim}/family")) == {"children": []}
    assert seen(desk, ava)[0]["flags"] == {"court_order": True}
    for each in (ok(given)["guardianship"], bar):
        assert ok(issuer.post(f"{ava}/guardians/{each}/end", {}))["guardianship"] == each
        assert issuer.post(f"{ava}/guardians/{each}/end", {}).outcome == (422, "order_invalid")
    assert issuer.post(f"{ava}/guardians/{uuid4()}/end", {}).outcome == (404, "guardianship_unknown")
    assert [one for one in reads(issuer, ava) if "guardians" in one[1]] == [
        ("staff:ben", "cardholder.guardians"),
        ("staff:ben", "cardholder.guardians"),
    ]
    assert ("staff:ben", "cardholder.guardians") in reads(issuer, kim)


PEOPLE = (("Ava Reed", "2016-04-30"), ("Kim Reed", "1985-02-02"), ("Lee Hale", "1980-01-01"))


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_nobody_is_guardian_of_whom_they_cannot_be(come: Come) -> None:
    issuer = come("ida", Role.ISSUER)
    ava, kim, _ = (born(issuer, *each) for each in PEOPLE)
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    for path, body, outcome in (
        (ava, {"person": id_of(ava)}, (422, "order_invalid")),
        (kim, {"person": id_of(ava)}, (422, "order_invalid")),
        (made(issuer), {"person": id_of(ava)}, (422, "order_invalid")),
        (ava, {"person": str(uuid4())}, (404, "cardholder_unknown")),
        (ava, {"person": id_of(kim), "last_day": yesterday}, (422, "order_invalid")),
        (ava, {"person": id_of(kim), "may": []}, (400, "malformed")),
        (ava, {"person": id_of(kim), "may": ["drive"]}, (400, "malformed")),
        (ava, {"person": id_of(kim), "rights": ["see"]}, (400, "malformed")),
    ):
        assert keyed(issuer, f"{path}/guardians", body).outcome == outcome, body
    assert issuer.post(f"{ava}/guardians", {"person": id_of(kim)}).outcome == (400, "idempotency_key_missing")
    assert ok(issuer.get(f"{ava}/guardians")) == {"guardians": []}
    unknown = f"/v1/cardholders/{uuid4()}"
    assert issuer.get(f"{unknown}/guardians").outcome == (404, "cardholder_unknown")
    assert issuer.get(f"{unknown}/family").outcome == (404, "cardholder_unknown")


def test_a_family_pays_from_when_it_was_said(council: Council, come: Come) -> None:
    """Never from before; what was made is not made twice."""
    issuer, desk = come("ida", Role.ISSUER), come("ben", Role.DESK)
    ava, noah = made(issuer, "Ava Reed"), made(issuer, "Noah Reed")
    family = desk.post("/v1/payers", {"kind": "family"}, Idempotency_Key="family-1")
    assert desk.post("/v1/payers", {"kind": "family"}, Idempotency_Key="family-1").json == family.json
    payer = ok(family)["payer"]
    council.clock.advance(seconds=1)
    since = "2026-09-01T00:00:00.000Z"
    first = desk.post(f"{ava}/payers", {"payer": payer, "since": since}, Idempotency_Key="assign-1")
    again = desk.post(f"{ava}/payers", {"payer": payer, "since": since}, Idempotency_Key="assign-1")
    assert ok(again) == ok(first) == {"cardholder": id_of(ava), "payer": payer, "since": since}
    ok(keyed(desk, f"{noah}/payers", {"payer": payer}))
    early = {"payer": payer, "since": "2020-01-01T00:00:00.000Z"}
    assert keyed(desk, f"{noah}/payers", early).outcome == (422, "backdated_payer")
    assert keyed(desk, f"{noah}/payers", {"payer": str(uuid4())}).outcome[0] in {404, 422}
    own, later = ok(desk.get(f"{ava}/payers"))["payers"]
    assert (own["until"], later["payer"], later["since"], later["until"]) == (since, payer, since, None)
    shown = ok(desk.get(f"/v1/payers/{payer}"))
    assert {each["cardholder"] for each in shown["cardholders"]} == {id_of(ava), id_of(noah)}
    assert {each["amount_minor"] for each in shown["accounts"]} == {0}
    assert desk.get(f"/v1/payers/{uuid4()}").outcome == (404, "payer_unknown")
    assert issuer.get(f"/v1/payers/{payer}").outcome == (403, "right_missing")
    assert ("staff:ben", "payer.history") in reads(issuer, ava)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_photo_is_kept_small_seen_and_taken_away(council: Council, come: Come) -> None:
    """Of whatever a camera made; that it was seen is told to the person, and the tables have it sealed."""
    issuer, desk = come("ida", Role.ISSUER), come("ben", Role.DESK)
    path = made(issuer)
    assert ok(desk.get(f"{path}/photo")) == {"photo": None}
    _, tag = seen(issuer, path)
    large = file_of(noise((1500, 2000)), comment=SECRET)
    assert len(large) > 1 << 20
    body = {"photo": to_base64url(large)}
    assert issuer.post(f"{path}/photo", body).outcome == (428, "if_match_missing")
    ok(issuer.post(f"{path}/photo", body, If_Match=tag))
    assert issuer.post(f"{path}/photo", body, If_Match=tag).outcome == (412, "changed_meanwhile")
    kept = from_base64url(ok(desk.get(f"{path}/photo"))["photo"])
    assert (kept[:2], len(kept) <= MAX_BYTES, SECRET in kept) == (b"\xff\xd8", True, False)
    assert ("staff:ben", "cardholder.photo") in reads(issuer, path)
    _, tag = seen(issuer, path)
    for wrong, outcome in (
        (to_base64url(b"GIF89a"), (422, "photo_refused")),
        (to_base64url(file_of(halves((20, 20)))), (422, "photo_refused")),
        (to_base64url(bytes(5 << 20)), (413, "too_large")),
        ("=", (400, "malformed")),
    ):
        assert issuer.post(f"{path}/photo", {"photo": wrong}, If_Match=tag).outcome == outcome
    assert desk.post(f"{path}/photo", {"photo": None}, If_Match=tag).outcome == (403, "right_missing")
    assert ok(issuer.post(f"{path}/photo", {"photo": None}, If_Match=tag))["photo"] is None
    assert ok(desk.get(f"{path}/photo")) == {"photo": None}
    del council


def test_proofs_are_due_end_and_are_renewed(come: Come) -> None:
    """Page by page, each who is shown noted; a file is taken as a whole or not at all."""
    issuer = come("ida", Role.ISSUER)
    people = [made(issuer, name) for name in ("Ava Reed", "Noah Reed", "Robin Hale")]
    for number, path in enumerate(people, start=1):
        said = {"kind": "residence", "reference": f"letter {number}", "review_on": f"2027-0{number}-01"}
        ok(keyed(issuer, f"{path}/proofs", said))
    due, found = "/v1/proof-reviews?by=2027-02-28&limit=1", []
    page = ok(issuer.get(due))
    while page["proofs"]:
        found += [(each["cardholder"], each["review_on"]) for each in page["proofs"]]
        page = ok(issuer.get(f"{due}&after={page['next']}"))
    assert (found, page["next"]) == (
        [(id_of(people[0]), "2027-01-01"), (id_of(people[1]), "2027-02-01")],
        None,
    )
    assert ("staff:ida", "proof.due") in reads(issuer, people[1])
    assert ("staff:ida", "proof.due") not in reads(issuer, people[2])
    assert issuer.get("/v1/proof-reviews?by=2027-02-30").outcome == (400, "malformed")
    assert ok(issuer.post(f"{people[1]}/proofs/end", {"kind": "residence"}))["kind"] == "residence"
    assert issuer.post(f"{people[1]}/proofs/end", {"kind": "residence"}).outcome == (422, "order_invalid")
    head, renewed = (
        "cardholder,proof,reference,review_on\n",
        f"{id_of(people[0])},residence,new letter,2028-01-01\n",
    )
    wrong = {"content": to_base64url(f"{head}{renewed}{uuid4()},residence,a,2028-01-01\n".encode())}
    refused = issuer.post("/v1/proof-imports", wrong)
    assert (refused.outcome, refused.json["data"]["problems"][0]["line"]) == ((422, "import_refused"), 3)
    right = {"content": to_base64url(f"{head}{renewed}".encode())}
    assert ok(issuer.post("/v1/proof-imports", {**right, "dry_run": True})) == {"proofs": 1, "dry_run": True}
    assert [each["review_on"] for each in ok(issuer.get(due))["proofs"]] == ["2027-01-01"]
    assert ok(issuer.post("/v1/proof-imports", right)) == {"proofs": 1, "dry_run": False}
    assert ok(issuer.get(due))["proofs"] == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_concession_over_http_has_the_schemes_age(come: Come) -> None:
    """As at the keyboard: it is refused before its day."""
    issuer = come("ida", Role.ISSUER)
    path = born(issuer, "Robin Hale", "1980-02-29")
    said = {"kind": "older", "reference": "passport", "review_on": "2028-01-01"}
    assert keyed(issuer, f"{path}/proofs", said).outcome == (422, "order_invalid")


def test_cards_are_looked_at_again_portion_by_portion(council: Council, come: Come) -> None:
    """What nothing backs rests, where that is said; the night's account may do the same, and no more."""
    issuer, night = come("ida", Role.ISSUER), come("nel", Role.OPERATOR)
    cards = sorted(str(council.card().id) for _ in range(3))
    council.clock.advance(minutes=1)
    found: list[dict[str, Any]] = []
    page = ok(night.post("/v1/card-reviews", {"limit": 2}))
    found += page["cards"]
    assert (len(found), page["next"]) == (2, cards[1])
    page = ok(night.post("/v1/card-reviews", {"limit": 2, "after": page["next"]}))
    found += page["cards"]
    assert ([each["card"] for each in found], page["next"]) == (cards, None)
    assert found[0]["application"] is None
    assert found[0]["against"]
    # Nobody has applied for them: they go on unless that is said, too.
    ok(night.post("/v1/card-reviews", {"suspend": True}))
    assert ok(issuer.get(f"/v1/cards/{cards[0]}"))["state"] == "active"
    ok(night.post("/v1/card-reviews", {"suspend": True, "also_ordered": True}))
    assert ok(issuer.get(f"/v1/cards/{cards[0]}"))["state"] == "suspended"
    assert ok(night.post("/v1/card-reviews", {})) == {"cards": [], "next": None}
    assert night.post("/v1/card-reviews", {"after": "x"}).outcome == (400, "malformed")
    assert night.get(f"/v1/cards/{cards[0]}").outcome == (403, "right_missing")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_young_citizens_come_of_age(council: Council, come: Come) -> None:
    """On the day itself; done again, nothing is ordered twice."""
    issuer, night = come("ida", Role.ISSUER), come("nel", Role.OPERATOR)
    path = made(issuer, "Ava Reed")
    order = {"cardholder": id_of(path), "kind": "young-citizen"}
    young = ok(keyed(issuer, "/v1/card-orders", order))["card"]
    [unknown] = ok(night.post("/v1/coming-of-age", {}))["grown"]
    assert unknown == {"cardholder": id_of(path), "young": young, "of_age": None, "card": None}
    changed(issuer, path, {"born_on": "2010-06-16"})
    assert ok(night.post("/v1/coming-of-age", {})) == {"grown": [], "next": None}
    council.clock.advance(days=1)
    issuer, night = signed_in(council, "ida"), signed_in(council, "nel")
    [tried] = ok(night.post("/v1/coming-of-age", {"dry_run": True}))["grown"]
    assert (tried["of_age"], tried["card"]) == (True, None)
    [grown] = ok(night.post("/v1/coming-of-age", {"delivery": "post"}))["grown"]
    shown = ok(issuer.get(f"/v1/cards/{grown['card']}"))
    assert (shown["kind"], shown["state"], shown["cardholder"]) == ("citizen", "ordered", id_of(path))
    assert ok(night.post("/v1/coming-of-age", {})) == {"grown": [], "next": None}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_of_entitlements_what_proofs_back_is_signed(council: Council, come: Come) -> None:
    """And of a card that is not to be used, nothing."""
    issuer, card = come("ida", Role.ISSUER), council.card()
    path, asked = f"/v1/cardholders/{card.holder}", f"/v1/cards/{card.id}/entitlements"
    assert ok(issuer.post(asked, {})) == {"card": str(card.id), "entitlements": []}
    said = {"kind": "residence", "reference": "a letter", "review_on": "2027-01-01"}
    ok(keyed(issuer, f"{path}/proofs", said))
    [one] = ok(issuer.post(asked, {}))["entitlements"]
    assert (one["predicate"], one["expires_at"]) == ("resident", "2027-01-01T00:00:00.000Z")
    ok(issuer.post(f"/v1/cards/{card.id}/suspension", {"reason": "found"}))
    assert issuer.post(asked, {}).outcome == (409, "nothing_to_state")
    assert issuer.post(f"/v1/cards/{uuid4()}/entitlements", {}).outcome == (404, "card_missing")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_who_joins_and_may_be_known_is_decided(come: Come) -> None:
    """By whoever imports, pupil by pupil; each who may be meant is noted as seen."""
    issuer = come("ida", Role.ISSUER)
    known = born(issuer, "Ava Reed", "2016-04-30")
    roll = "number,name,born_on,form\n1,Ava Reed,2016-04-30,5B\n2,Noah Reed,2018-01-09,3A\n"
    body = {"school": "ashcombe-primary", "content": to_base64url(roll.encode())}
    tried = ok(issuer.post("/v1/pupil-imports", {**body, "dry_run": True}))
    assert tried["to_decide"] == [{"line": 2, "number": "1", "cardholders": [id_of(known)]}]
    assert issuer.post("/v1/pupil-imports", body).outcome == (422, "import_refused")
    assert issuer.post("/v1/pupil-imports", {**body, "new": ["7"]}).outcome == (422, "order_invalid")
    done = ok(issuer.post("/v1/pupil-imports", {**body, "same": {"1": None}}))
    assert ([each["line"] for each in done["joined"]], done["changed"][0]["cardholder"]) == (
        [3],
        id_of(known),
    )
    assert seen(issuer, known)[0]["form"] == "5B"
    assert ("staff:ida", "cardholder.find") in reads(issuer, known)
