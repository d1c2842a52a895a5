"""A terminal enrols itself by a code: once, for one key, for a while; and has its certificate renewed."""

import logging
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select, text

from cardservice.api.fields import to_base64url
from cardservice.api.gate import ENROLMENTS_A_MINUTE
from cardservice.audit.models import audit
from cardservice.errors import (
    AlreadyExists,
    OrderInvalid,
    ProviderUnknown,
    TerminalUnknown,
)
from cardservice.ids import ProviderId, TerminalId
from cardservice.pki_store.models import certificate
from cardservice.terminals import service as terminals
from cardservice.terminals.enrolment import (
    ATTEMPTS,
    LONGEST,
    VALIDITY,
    Invitation,
    invite,
    invite_again,
    renewed_from,
    withdraw_invitation,
)
from cardservice.terminals.errors import InvitationUnknown
from cardservice.terminals.models import terminal_invitation
from pki.errors import CertificateRevoked
from pki.verification import Purpose, TrustStore, verify
from tests.support.council import ACTOR, Council, Reply, Terminal, csr, from_base64url

BUS = "bus-12"
# Each asks from a place of its own, unless it says so. RFC 5737
_ADDRESSES = cycle(range(1, 250))


def invited(
    council: Council, terminal_id: str = BUS, provider: str = "vale-buses", validity: timedelta = VALIDITY
) -> Invitation:
    """A code for a validator."""
    new = terminals.NewTerminal(
        TerminalId(terminal_id), ProviderId(provider), "Bus 12", "validator", offline_limit_minor=500
    )
    with council.context.database.begin() as connection:
        return invite(connection, new, validity, actor=ACTOR, moment=council.clock())


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def asked(code: str, key: ec.EllipticCurvePrivateKey, terminal_id: str = BUS) -> dict[str, str]:
    request = csr(key, "whatever it calls itself").public_bytes(Encoding.DER)
    return {"terminal": terminal_id, "code": code, "csr": to_base64url(request)}


def enrol(
    council: Council,
    code: str,
    key: ec.EllipticCurvePrivateKey,
    terminal_id: str = BUS,
    address: str = "",
) -> Any:
    """What the service answers."""
    return council.client.post(
        "/enrolments",
        json=asked(code, key, terminal_id),
        headers={"X-Forwarded-For": address or f"198.51.100.{next(_ADDRESSES)}"},
    )


def leaf_of(answer: Any) -> x509.Certificate:
    assert answer.status_code == 200, answer.get_json()
    return x509.load_der_x509_certificate(from_base64url(answer.get_json()["certificate"]))


def test_a_code_enrols_one_terminal_once(council: Council, caplog: pytest.LogCaptureFixture) -> None:
    """In one town: setting up costs more than all of them."""
    it_is_registered_as_it_was_invited(council)
    neither_the_database_nor_the_log_has_the_code(council, caplog)
    the_code_is_used_up_by_one_key(council)
    another_invitation_and_a_withdrawal_make_it_void(council)
    a_terminal_that_was_registered_meanwhile_stays_as_it_is(council)


def test_whoever_tries_codes_gets_nowhere(council: Council) -> None:
    wrong_codes_are_counted(council)
    codes_are_tried_no_faster_than_that(council)
    who_cannot_be_invited(council)
    nobody_learns_who_is_invited(council)


def test_certificates_come_and_go(council: Council) -> None:
    a_lost_key_is_replaced(council)
    revoked_is_refused_at_once(council)
    a_certificate_is_renewed_in_its_last_third(council)


def it_is_registered_as_it_was_invited(council: Council) -> None:
    key, made = new_key(), invited(council, "bus-20")
    leaf = leaf_of(enrol(council, made.code, key, "bus-20"))
    trust = TrustStore.from_directory(council.context.pki.public_dir)
    assert verify(leaf, Purpose.TERMINAL, council.clock(), trust).identity == "bus-20"
    assert leaf.public_key() == key.public_key()
    terminal = Terminal("bus-20", key, council.client, council.clock)
    assert terminal.get("/v1/nonce").status == 200
    with council.context.database.reading() as connection:
        known = terminals.find_terminal(connection, "bus-20")
        noted = set(connection.scalars(select(audit.c.action).where(audit.c.subject == "bus-20")))
    assert known is not None
    assert (known.provider_id, known.role, known.offline_limit_minor) == ("vale-buses", "validator", 500)
    assert {"terminal.invite", "terminal.add"} <= noted


def the_code_is_used_up_by_one_key(council: Council) -> None:
    """The answer may have been lost: the same key gets the same certificate, another one none."""
    key, made = new_key(), invited(council, "bus-21")
    first = leaf_of(enrol(council, made.code, key, "bus-21"))
    # However it is typed.
    typed = made.code.lower().replace("-", " ")
    assert leaf_of(enrol(council, typed, key, "bus-21")) == first
    assert enrol(council, made.code, new_key(), "bus-21").get_json()["code"] == "enrolment_refused"
    council.clock.advance(minutes=60)
    assert enrol(council, made.code, key, "bus-21").get_json()["code"] == "enrolment_refused"
    with council.context.database.reading() as connection:
        issued = select(func.count()).where(
            certificate.c.authority == "terminals", certificate.c.identity == "bus-21"
        )
        assert connection.scalar(issued) == 1


def wrong_codes_are_counted(council: Council) -> None:
    key, made = new_key(), invited(council, "bus-22")
    other = invited(council, "bus-13")
    for _ in range(ATTEMPTS - 1):
        answer = enrol(council, other.code, key, "bus-22")
        assert (answer.status_code, answer.get_json()["code"]) == (403, "enrolment_refused")
    # What is no request uses up nothing.
    unread = council.client.post("/enrolments", json=asked(made.code, key, "bus-22") | {"csr": "AAAA"})
    assert unread.get_json()["code"] == "certificate_request_refused"
    assert enrol(council, other.code, key, "bus-22").status_code == 403
    refused = enrol(council, made.code, key, "bus-22")
    assert (refused.status_code, refused.get_json()["code"]) == (403, "enrolment_refused")
    with council.context.database.reading() as connection:
        assert terminals.find_terminal(connection, "bus-22") is None
        own = audit.c
        noted = connection.scalar(
            select(func.count()).where(own.subject == "bus-22", own.action == "terminal.code_refused")
        )
    assert noted == ATTEMPTS + 1
    # The other's stands.
    assert enrol(council, other.code, key, "bus-13").status_code == 200


def nobody_learns_who_is_invited(council: Council) -> None:
    """Of who is not, of what is too old and of what is wrong the same is said; of strangers nothing kept."""
    made = invited(council, "bus-23")
    answers = [
        enrol(council, made.code, new_key(), "bus-99"),
        enrol(council, "2345" * 4, new_key(), "bus-23"),
    ]
    council.clock.advance(hours=1)
    answers.append(enrol(council, made.code, new_key(), "bus-23"))
    assert {(each.status_code, each.get_json()["detail"]) for each in answers} == {
        (403, "this code does not enrol this terminal; ask the scheme for a new one")
    }
    with council.context.database.reading() as connection:
        own = audit.c
        assert connection.scalar(select(func.count()).where(own.subject == "bus-99")) == 0


def codes_are_tried_no_faster_than_that(council: Council) -> None:
    """From one address; from another one may."""
    address = "192.0.2.1"
    statuses = [
        enrol(council, "2345" * 4, new_key(), "bus-24", address).status_code
        for _ in range(ENROLMENTS_A_MINUTE + 1)
    ]
    assert statuses == [403] * ENROLMENTS_A_MINUTE + [429]
    assert enrol(council, "2345" * 4, new_key(), "bus-24", address="192.0.2.2").status_code == 403


def neither_the_database_nor_the_log_has_the_code(council: Council, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = invited(council, "bus-25")
    assert enrol(council, made.code, new_key(), "bus-25").status_code == 200
    plain = made.code.replace("-", "")
    with council.context.database.reading() as connection:
        rows = [str(row) for row in connection.execute(select(terminal_invitation))]
        rows += [str(row) for row in connection.execute(text("SELECT * FROM audit"))]
    assert rows
    for kept in (*rows, caplog.text):
        assert plain not in kept
        assert made.code not in kept
    assert len({invited(council, f"bus-{number}").code for number in range(100, 150)}) == 50


def another_invitation_and_a_withdrawal_make_it_void(council: Council) -> None:
    first, second = invited(council, "bus-26"), invited(council, "bus-26")
    assert enrol(council, first.code, new_key(), "bus-26").status_code == 403
    with council.context.database.begin() as connection:
        withdraw_invitation(connection, "bus-26", actor=ACTOR, moment=council.clock())
    assert enrol(council, second.code, new_key(), "bus-26").status_code == 403
    with pytest.raises(InvitationUnknown), council.context.database.begin() as connection:
        withdraw_invitation(connection, "bus-26", actor=ACTOR, moment=council.clock())


def who_cannot_be_invited(council: Council) -> None:
    council.terminal("bus-1")
    for terminal_id, provider, validity, error in (
        ("bus-1", "vale-buses", VALIDITY, AlreadyExists),
        ("bus 2", "vale-buses", VALIDITY, OrderInvalid),
        ("staff:eve", "vale-buses", VALIDITY, OrderInvalid),
        ("bus-2", "nobody", VALIDITY, ProviderUnknown),
        ("bus-2", "vale-buses", timedelta(0), OrderInvalid),
        ("bus-2", "vale-buses", LONGEST + timedelta(minutes=1), OrderInvalid),
    ):
        with pytest.raises(error):
            invited(council, terminal_id, provider, validity)
    council.clock.advance(minutes=1)
    council.revoke_terminal("bus-1")
    for terminal_id, refused in (("bus-9", TerminalUnknown), ("bus-1", OrderInvalid)):
        with pytest.raises(refused), council.context.database.begin() as connection:
            invite_again(connection, terminal_id, VALIDITY, actor=ACTOR, moment=council.clock())


def a_terminal_that_was_registered_meanwhile_stays_as_it_is(council: Council) -> None:
    """Two ways at once: the code was for a new terminal, and this is none any more."""
    made = invited(council, "bus-28")
    council.terminal("bus-28", "gate")
    assert enrol(council, made.code, new_key(), "bus-28").status_code == 403
    with council.context.database.reading() as connection:
        known = terminals.find_terminal(connection, "bus-28")
    assert known is not None
    assert known.role == "gate"


def a_lost_key_is_replaced(council: Council) -> None:
    """The same terminal; the old certificate is revoked, and the next request by the old key refused."""
    old = council.terminal("bus-29", offline_limit_minor=700)
    with council.context.database.reading() as connection:
        before = terminals.find_terminal(connection, "bus-29")
    assert before is not None
    council.clock.advance(minutes=1)
    with council.context.database.begin() as connection:
        made = invite_again(connection, "bus-29", VALIDITY, actor=ACTOR, moment=council.clock())
    assert old.get("/v1/nonce").status == 200
    key = new_key()
    leaf_of(enrol(council, made.code, key, "bus-29"))
    assert old.get("/v1/nonce").outcome == (401, "request_signature_invalid")
    assert Terminal("bus-29", key, council.client, council.clock).get("/v1/nonce").status == 200
    crl = x509.load_der_x509_crl(council.client.get("/pki/terminals.crl").data)
    trust = TrustStore.from_directory(council.context.pki.public_dir).with_crls([crl])
    with pytest.raises(CertificateRevoked):
        verify(
            x509.load_der_x509_certificate(before.certificate_der), Purpose.TERMINAL, council.clock(), trust
        )
    with council.context.database.reading() as connection:
        known = terminals.find_terminal(connection, "bus-29")
    assert known is not None
    assert (known.role, known.offline_limit_minor) == (before.role, 700)


def renewal(terminal: Terminal, key: ec.EllipticCurvePrivateKey | None = None) -> Reply:
    request = csr(key or terminal.key, BUS).public_bytes(Encoding.DER)
    return terminal.post("/v1/terminal-certificate", {"csr": to_base64url(request)})


def a_certificate_is_renewed_in_its_last_third(council: Council) -> None:
    """For the same key, once: asked again, the same."""
    terminal = council.terminal("bus-30")

    def present() -> x509.Certificate:
        with council.context.database.reading() as connection:
            known = terminals.find_terminal(connection, "bus-30")
        assert known is not None
        return x509.load_der_x509_certificate(known.certificate_der)

    first = present()
    council.clock.moment = renewed_from(first) - timedelta(seconds=1)
    assert renewal(terminal).status == 200
    assert present() == first
    assert renewal(terminal, new_key()).outcome == (422, "certificate_request_refused")
    council.clock.advance(seconds=1)
    answers = [renewal(terminal).json["certificate"] for _ in range(2)]
    second = present()
    assert answers == [to_base64url(second.public_bytes(Encoding.DER))] * 2
    assert second != first
    assert second.public_key() == first.public_key()
    assert second.not_valid_after_utc > first.not_valid_after_utc
    # Both hold until the first ends; the terminal goes on as before.
    assert terminal.get("/v1/nonce").status == 200
    council.clock.moment = second.not_valid_after_utc + timedelta(seconds=1)
    assert renewal(terminal).outcome == (422, "certificate_request_refused")


def revoked_is_refused_at_once(council: Council) -> None:
    """The next request, and a renewal."""
    terminal = council.terminal("bus-31")
    assert terminal.get("/v1/nonce").status == 200
    council.clock.advance(seconds=1)
    council.revoke_terminal("bus-31")
    assert terminal.get("/v1/nonce").outcome == (403, "terminal_revoked")
    assert renewal(terminal).outcome == (403, "terminal_revoked")
