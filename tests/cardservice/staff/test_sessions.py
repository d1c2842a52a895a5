"""Signing in by staff card, passkey, and password with a code; sessions, and how they end."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from cardservice.audit.searching import Wanted, search
from cardservice.context import Context
from cardservice.staff import enrolment, passwords, service, totp
from cardservice.staff.acting import Acting
from cardservice.staff.agreeing import agree, ask_recovered
from cardservice.staff.credential_models import staff_password, staff_session
from cardservice.staff.errors import SecondPersonRefused
from cardservice.staff.roles import Role
from cardservice.terminals.service import find_terminal
from tests.cardservice.staff.authenticator import Authenticator
from tests.cardservice.staff.browsing import (
    PASSWORD,
    Browsing,
    by_certificate,
    code_of,
    enrolled_card,
    signed_in,
    with_passkey,
    with_password,
)
from tests.cardservice.staff.people import add
from tests.support.council import ORIGIN, Council, Reply

CARD, KEY, CODE = (f"/v1/staff/sessions/{way}" for way in ("certificate", "passkey", "password"))
ENROLMENT = "/v1/staff/sessions/enrolment"
REFUSED = (401, "sign_in_refused")
OVER = (401, "session_invalid")


@pytest.fixture
def town(council: Council) -> Council:
    """A council with an administrator, and somebody at a desk."""
    add(council.context, "ann", Role.ADMINISTRATOR)
    add(council.context, "ben", Role.DESK)
    return council


def entries(context: Context, action: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The trail's entries of an action, the newest first."""
    with context.database.reading() as connection:
        return [(each.actor, each.subject, each.detail) for each in search(connection, Wanted(action=action))]


# RFC 6238, appendix B, table 1: the last six digits of the codes by SHA-1.
@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    secret, moment = b"12345678901234567890", datetime.fromtimestamp(at, UTC)
    assert totp.code_at(secret, at // 30) == code
    assert totp.step_of(secret, code, moment, 0) == at // 30
    assert totp.step_of(secret, code, moment, at // 30) is None


def test_a_staff_card_signs_in(town: Council) -> None:
    """By the service's challenge; the trail has who, and how; signing out ends it."""
    ben = signed_in(town, "ben")
    me = ben.get("/v1/staff/me").json
    assert (me["person"]["staff"], me["session"]["method"]) == ("ben", "certificate")
    assert me["person"]["roles"] == ["desk"]
    assert entries(town.context, "staff.sign_in") == [("staff:ben", "ben", {"method": "certificate"})]
    assert ben.post("/v1/staff/sign-out", {}).status == 200
    assert ben.get("/v1/staff/me").outcome == OVER
    assert len(entries(town.context, "staff.sign_out")) == 1


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_whose_card_is_not_in_order_is_not_let_in(town: Council) -> None:
    """Each time one thing is wrong; to them it reads the same, and the trail says what it was."""
    nobody, (key, certificate) = Browsing(town), enrolled_card(town, "ben")
    other = ec.generate_private_key(ec.SECP256R1())

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        return nobody.post(CARD, body).outcome

    good = by_certificate(key, certificate, nobody.challenge())
    assert answer(good) == (200, "None")
    assert answer(good) == REFUSED  # a challenge is good for once
    assert answer(by_certificate(other, certificate, nobody.challenge())) == REFUSED
    assert answer(by_certificate(key, b"\x30\x00", nobody.challenge())) == REFUSED
    assert answer(by_certificate(key, certificate, "A" * 43)) == REFUSED
    # Signed for one challenge, sent with another.
    first, second = nobody.challenge(), nobody.challenge()
    assert answer({**by_certificate(key, certificate, first), "challenge": second}) == REFUSED
    late = nobody.challenge()
    town.clock.advance(minutes=3)
    assert answer(by_certificate(key, certificate, late)) == REFUSED
    # A terminal's certificate is none of the staff's.
    terminal = town.terminal("till-1", "till")
    with town.context.database.reading() as connection:
        known = find_terminal(connection, "till-1")
    assert known is not None
    assert answer(by_certificate(terminal.key, known.certificate_der, nobody.challenge())) == REFUSED
    whys = [detail["why"] for _, _, detail in entries(town.context, "staff.sign_in_refused")]
    assert len(whys) == 7
    assert len(set(whys)) >= 5


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_revoked_card_signs_nobody_in_and_its_sessions_end(town: Council) -> None:
    """Another certificate takes its place; a disabled account has none."""
    nobody, (old, certificate) = Browsing(town), enrolled_card(town, "ben")
    before = nobody.came_in(nobody.post(CARD, by_certificate(old, certificate, nobody.challenge())))
    new, renewed = enrolled_card(town, "ben")
    assert before.get("/v1/staff/me").outcome == OVER
    assert nobody.post(CARD, by_certificate(old, certificate, nobody.challenge())).outcome == REFUSED
    after = nobody.came_in(nobody.post(CARD, by_certificate(new, renewed, nobody.challenge())))
    context = town.context
    with context.database.begin() as connection:
        authority = context.authority(service.AUTHORITY, connection)
        service.set_active(
            connection, authority, "ben", is_active=False, actor="staff:ann", moment=town.clock()
        )
    assert after.get("/v1/staff/me").outcome == OVER
    assert nobody.post(CARD, by_certificate(new, renewed, nobody.challenge())).outcome == REFUSED


def test_a_passkey_is_made_and_signed_in_with(town: Council) -> None:
    ben, key = signed_in(town, "ben"), Authenticator()
    made = with_passkey(ben, key)
    assert made.status == 200, made
    nobody = Browsing(town)
    again = nobody.came_in(nobody.post(KEY, key.signed(nobody.challenge())))
    assert again.get("/v1/staff/me").json["session"]["method"] == "passkey"
    [listed] = again.get("/v1/staff/passkeys").json["passkeys"]
    assert (listed["name"], listed["used_at"]) == ("my key", "2026-06-15T10:00:00.000Z")
    gone = again.post(f"/v1/staff/passkeys/{listed['passkey']}/removal", {})
    assert gone.json["passkeys"] == []
    assert nobody.post(KEY, key.signed(nobody.challenge())).outcome == REFUSED


@pytest.mark.parametrize(
    "wrong",
    [
        Authenticator(origin="https://cards.ashcombe.example.evil.example"),
        Authenticator(rp="evil.example"),
        Authenticator(flags=0x01),  # nobody was verified
        Authenticator(algorithm=-65535),  # RS1, which nobody asked for
    ],
    ids=["origin", "rp", "unverified", "algorithm"],
)
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_passkey_that_is_not_for_here_is_not_kept(town: Council, wrong: Authenticator) -> None:
    """Nor signed in with, were it ever kept."""
    ben, right = signed_in(town, "ben"), Authenticator()
    assert with_passkey(ben, wrong).outcome == (422, "credential_refused")
    assert with_passkey(ben, right).status == 200
    if wrong.algorithm == right.algorithm:
        wrong.credential, wrong.key = right.credential, right.key
        nobody = Browsing(town)
        assert nobody.post(KEY, wrong.signed(nobody.challenge())).outcome == REFUSED
        assert nobody.post(KEY, right.signed(nobody.challenge())).status == 200


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_passkeys_challenge_is_for_one_thing_once(town: Council) -> None:
    """An offer's is no sign-in's, nor another person's."""
    ann, ben, key = signed_in(town, "ann"), signed_in(town, "ben"), Authenticator()
    nobody = Browsing(town)
    offered = ben.post("/v1/staff/passkeys/offer", {}).json["options"]["challenge"]
    body = {"name": "mine", **key.made(offered)}
    assert ann.post("/v1/staff/passkeys", body).outcome == REFUSED
    assert ben.post("/v1/staff/passkeys", body).status == 200
    assert ben.post("/v1/staff/passkeys", body).outcome == REFUSED
    challenge = ben.post("/v1/staff/passkeys/offer", {}).json["options"]["challenge"]
    assert nobody.post(KEY, key.signed(challenge)).outcome == REFUSED
    # It is ben's alone.
    assert with_passkey(ann, key).outcome == (422, "credential_refused")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_copied_passkey_is_found_by_its_count(town: Council) -> None:
    """Web Authentication, 6.1.1."""
    ben, key, nobody = signed_in(town, "ben"), Authenticator(count=4), Browsing(town)
    assert with_passkey(ben, key).status == 200
    key.count = 5
    assert nobody.post(KEY, key.signed(nobody.challenge())).status == 200
    for count in (5, 4, 0):
        key.count = count
        assert nobody.post(KEY, key.signed(nobody.challenge())).outcome == REFUSED
    [_, (_, subject, detail), _] = entries(town.context, "staff.sign_in_refused")
    assert (subject, "counts 4 after 5" in detail["why"]) == ("ben", True)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("part", ["client_data", "attestation"])
def test_bytes_that_are_none_are_refused(town: Council, part: str) -> None:
    ben, key = signed_in(town, "ben"), Authenticator()
    for junk in ("", "AAAA", "_" * 200, "oWNmbXQ"):
        options = ben.post("/v1/staff/passkeys/offer", {}).json["options"]
        body = {"name": "mine", **key.made(options["challenge"]), part: junk}
        assert ben.post("/v1/staff/passkeys", body).status in {401, 422}


def test_a_password_wants_a_code(town: Council) -> None:
    """One that is used once; without the one or the other nobody comes in."""
    secret, nobody = with_password(signed_in(town, "ben")), Browsing(town)

    def tried(password: str = PASSWORD, code: str | None = None, staff: str = "ben") -> Reply:
        given = code_of(secret, town) if code is None else code
        return nobody.post(CODE, {"staff": staff, "password": password, "code": given})

    assert tried().outcome == REFUSED  # this code has confirmed the password
    town.clock.advance(seconds=30)
    assert tried(password="seven larks over Ashford").outcome == REFUSED
    assert tried(code="000000" if code_of(secret, town) != "000000" else "000001").outcome == REFUSED
    assert tried(staff="nobody").outcome == REFUSED
    assert nobody.came_in(tried()).get("/v1/staff/me").json["person"]["staff"] == "ben"
    assert tried().outcome == REFUSED  # again
    town.clock.advance(seconds=30)
    # A phone that is a step behind, and one that is five.
    town.clock.advance(seconds=30)
    assert tried(code=code_of(secret, town, -1)).status == 200
    town.clock.advance(minutes=5)
    assert tried(code=code_of(secret, town, -5)).outcome == REFUSED


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_wrong_passwords_close_this_way_for_a_while(town: Council) -> None:
    """Not the others: nobody is shut out by a stranger who types their name."""
    context = town.context
    ben, key, nobody = signed_in(town, "ben"), Authenticator(), Browsing(town)
    secret = with_password(ben)
    assert with_passkey(ben, key).status == 200
    for _ in range(passwords.MOST_WRONG):
        town.clock.advance(seconds=30)
        body = {"staff": "ben", "password": "not the password", "code": code_of(secret, town)}
        assert nobody.post(CODE, body).outcome == REFUSED
    town.clock.advance(seconds=30)
    right = {"staff": "ben", "password": PASSWORD, "code": code_of(secret, town)}
    assert nobody.post(CODE, right).outcome == REFUSED
    assert nobody.post(KEY, key.signed(nobody.challenge())).status == 200
    town.clock.advance(minutes=16)
    assert nobody.post(CODE, {**right, "code": code_of(secret, town)}).status == 200
    with context.database.reading() as connection:
        row = connection.execute(select(staff_password)).one()
    assert (row.wrong, row.locked_until) == (0, None)
    # Neither is in the database as it is.
    assert PASSWORD not in row.argon2id
    assert secret not in row.sealed_totp


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_password_that_everybody_would_guess_is_not_taken(town: Council) -> None:
    ben = signed_in(town, "ben")
    for password in ("aaaaaaaaaaaaaaaaaaaa", "abababababababab", "my name is Ben"):
        answer = ben.post("/v1/staff/password", {"password": password})
        assert answer.outcome == (422, "credential_refused"), password
    assert ben.post("/v1/staff/password", {"password": "short"}).outcome == (400, "malformed")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sign_ins_are_counted_by_address(town: Council) -> None:
    """After 20 in a minute the next is told when to come back."""
    nobody = Browsing(town, headers={"X-Forwarded-For": "192.0.2.7"})
    body = {"staff": "ben", "code": "AAAA"}
    outcomes = [nobody.post(ENROLMENT, body).status for _ in range(21)]
    assert outcomes == [401] * 20 + [429]
    other = Browsing(town, headers={"X-Forwarded-For": "192.0.2.8"})
    assert other.post(ENROLMENT, body).status == 401


def test_sessions_idle_end_and_are_ended(town: Council) -> None:
    ben, context = signed_in(town, "ben"), town.context
    for _ in range(19):
        town.clock.advance(minutes=29)
        assert ben.get("/v1/staff/me").status == 200
    town.clock.advance(minutes=50)
    assert ben.get("/v1/staff/me").outcome == OVER  # over 10 hours, however busy
    idle = signed_in(town, "ben")
    town.clock.advance(minutes=30)
    assert idle.get("/v1/staff/me").outcome == OVER
    ann, one = signed_in(town, "ann"), signed_in(town, "ben")
    mine = one.get("/v1/staff/sessions").json["sessions"]
    assert [each["staff"] for each in mine] == ["ben"]
    theirs = ann.get("/v1/staff/sessions").json["sessions"][0]["session"]
    # Of another's session not even that it is there.
    assert one.post(f"/v1/staff/sessions/{theirs}/end", {}).outcome == (404, "session_unknown")
    assert ann.post(f"/v1/staff/sessions/{mine[0]['session']}/end", {}).status == 200
    assert one.get("/v1/staff/me").outcome == OVER
    with context.database.reading() as connection:
        stored = connection.execute(select(staff_session.c.token_sha256)).scalars().all()
    assert str(one.token).encode() not in stored
    assert entries(context, "staff.sign_out")[0][0] == "staff:ann"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_browsers_session_is_a_cookie_for_our_pages(town: Council) -> None:
    """The token is in no answer, no other site's page uses it, and no program."""
    nobody, (key, certificate) = Browsing(town), enrolled_card(town, "ben")
    body = {**by_certificate(key, certificate, nobody.challenge()), "browser": True}
    assert nobody.post(CARD, body, Origin="https://evil.example").outcome == REFUSED
    sent = {"Content-Type": "application/json", "Origin": ORIGIN}
    body = {**by_certificate(key, certificate, nobody.challenge()), "browser": True}
    response = town.client.application.test_client(use_cookies=False).post(CARD, json=body, headers=sent)
    assert response.get_json()["token"] is None
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-staff=")
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Strict")
    carried = cookie.partition(";")[0]
    token = carried.partition("=")[2]
    page = Browsing(town, headers={"Cookie": carried})
    assert page.get("/v1/staff/me").status == 200
    assert page.get("/v1/staff/me", Origin="https://evil.example").outcome == OVER
    assert page.post("/v1/staff/sign-out", {}).outcome == OVER
    assert page.post("/v1/staff/sign-out", {}, Origin="https://evil.example").outcome == OVER
    assert Browsing(town, token).get("/v1/staff/me").outcome == OVER
    program = signed_in(town, "ann")
    as_cookie = Browsing(town, headers={"Cookie": f"__Host-staff={program.token}"})
    assert as_cookie.get("/v1/staff/me").outcome == OVER
    assert page.post("/v1/staff/sign-out", {}, Origin=ORIGIN).status == 200


def test_somebody_new_comes_in_by_a_code_and_sets_up_a_passkey(town: Council) -> None:
    """For a quarter of an hour, for that alone; the code is good for once."""
    context, nobody, key = town.context, Browsing(town), Authenticator()
    with context.database.begin() as connection:
        code = enrolment.invite(context, connection, "ben", actor="staff:ann")
    body = {"staff": "ben", "code": code.lower().replace("-", " ")}
    assert nobody.post(ENROLMENT, {**body, "code": code[:-1]}).outcome == REFUSED
    ben = nobody.came_in(nobody.post(ENROLMENT, body))
    assert nobody.post(ENROLMENT, body).outcome == REFUSED
    assert ben.get("/v1/tariffs/meals").outcome == (403, "enrolment_alone")
    assert with_passkey(ben, key).status == 200
    town.clock.advance(minutes=15)
    assert ben.get("/v1/staff/me").outcome == OVER
    assert (
        nobody.came_in(nobody.post(KEY, key.signed(nobody.challenge()))).get("/v1/tariffs/meals").status
        == 200
    )


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_enrolment_code_is_tried_five_times(town: Council) -> None:
    context, nobody = town.context, Browsing(town)
    with context.database.begin() as connection:
        code = enrolment.invite(context, connection, "ben", actor="staff:ann")
    for _ in range(enrolment.ATTEMPTS):
        assert nobody.post(ENROLMENT, {"staff": "ben", "code": "2222222222-2222222222"}).outcome == REFUSED
    assert nobody.post(ENROLMENT, {"staff": "ben", "code": code}).outcome == REFUSED


def test_who_has_lost_everything_is_let_in_anew_by_two(town: Council) -> None:
    """Each has half a code; what was lost opens nothing any more."""
    context, nobody, lost = town.context, Browsing(town), Authenticator()
    add(context, "cat", Role.ADMINISTRATOR)
    ben = signed_in(town, "ben")
    assert with_passkey(ben, lost).status == 200
    asked, first = ask_recovered(context, "ben", actor="staff:ann")
    people = {}
    with context.database.reading() as connection:
        for name in ("ann", "ben", "cat"):
            people[name] = Acting(f"staff:{name}", service.require_person(connection, name))
    with pytest.raises(SecondPersonRefused):
        agree(context, asked.id, people["ann"])
    assert nobody.post(KEY, lost.signed(nobody.challenge())).status == 200  # nothing is done yet
    second = agree(context, asked.id, people["cat"]).half
    assert ben.get("/v1/staff/me").outcome == OVER
    assert nobody.post(KEY, lost.signed(nobody.challenge())).outcome == REFUSED
    for half in (f"{first}", f"{second}", f"{second}{first}"):
        assert nobody.post(ENROLMENT, {"staff": "ben", "code": half}).outcome == REFUSED
    anew = nobody.came_in(nobody.post(ENROLMENT, {"staff": "ben", "code": f"{first}-{second}"}))
    assert with_passkey(anew, Authenticator()).status == 200


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_is_signed_in_with_is_changed_by_who_has_just_signed_in(town: Council) -> None:
    """A token that somebody took makes no passkey for them."""
    ben = signed_in(town, "ben")
    town.clock.advance(minutes=16)
    assert ben.get("/v1/staff/me").status == 200
    assert ben.post("/v1/staff/passkeys/offer", {}).outcome == (403, "sign_in_again")
    assert ben.post("/v1/staff/password", {"password": PASSWORD}).outcome == (403, "sign_in_again")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_session_does_what_a_signature_does(town: Council) -> None:
    """Tariffs, which offices load, too; each use is in the trail."""
    ann, ben = signed_in(town, "ann"), signed_in(town, "ben")
    assert ben.get("/v1/tariffs/transport").status == 200
    body = {"service": "meals", "files": [{"name": "menu.json", "content": "AAAA"}]}
    assert ann.post("/v1/tariff-drafts", body).outcome == (403, "right_missing")
    assert entries(town.context, "staff.used")[0][:2] == ("staff:ben", "GET /v1/tariffs/<service>")
    assert Browsing(town, "no such token").get("/v1/tariffs/transport").outcome == OVER
    assert ann.get("/v1/nonce").outcome == (401, "request_signature_missing")
