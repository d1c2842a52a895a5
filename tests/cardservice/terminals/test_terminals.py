"""Terminals: registered with a certificate for their own key, revoked with it."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.audit.budget import Budget
from cardservice.audit.service import security_events
from cardservice.errors import AlreadyExists, CertificateRequestRefused, OrderInvalid, ProviderUnknown
from cardservice.ids import ProviderId, TerminalId
from cardservice.services import discover
from cardservice.terminals import service as terminals
from cardservice.terminals.roles import Duty, has_duty, known_roles, may_ask
from pki.errors import CertificateRevoked
from pki.verification import Purpose, TrustStore, verify
from tests.support.council import START, Council, csr


def register(council: Council, terminal_id: str, csr_pem: bytes, provider: str = "vale-buses") -> None:
    """Register a terminal."""
    context = council.context
    with context.database.begin() as connection:
        terminals.register_terminal(
            connection,
            context.authority(terminals.AUTHORITY, connection),
            terminals.NewTerminal(
                TerminalId(terminal_id), ProviderId(provider), terminal_id, "validator", None
            ),
            csr_pem,
            actor="test",
            moment=council.clock(),
        )


def pem(key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A signing request."""
    return csr(key or ec.generate_private_key(ec.SECP256R1()), "bus").public_bytes(Encoding.PEM)


def test_its_certificate_is_for_its_own_key_and_name(council: Council) -> None:
    """What the request calls itself does not count."""
    terminal = council.terminal("bus-12")
    with council.context.database.reading() as connection:
        known = terminals.find_terminal(connection, "bus-12")
    assert known is not None
    leaf = x509.load_der_x509_certificate(known.certificate_der)
    trust = TrustStore.from_directory(council.context.pki.public_dir)
    assert verify(leaf, Purpose.TERMINAL, council.clock(), trust).identity == "bus-12"
    assert leaf.public_key() == terminal.key.public_key()


def test_revoked_with_its_certificate(council: Council) -> None:
    """The list of terminals names it at once."""
    council.terminal("bus-12")
    council.clock.advance(minutes=1)
    council.revoke_terminal("bus-12")
    context = council.context
    with context.database.reading() as connection:
        known = terminals.find_terminal(connection, "bus-12")
    assert known is not None
    assert not known.is_revoked(council.clock() - timedelta(milliseconds=1))
    assert known.is_revoked(council.clock())
    crl = x509.load_der_x509_crl(council.client.get("/pki/terminals.crl").data)
    trust = TrustStore.from_directory(context.pki.public_dir).with_crls([crl])
    leaf = x509.load_der_x509_certificate(known.certificate_der)
    with pytest.raises(CertificateRevoked):
        verify(leaf, Purpose.TERMINAL, council.clock(), trust)
    with pytest.raises(OrderInvalid):
        council.revoke_terminal("bus-12")


def test_refused_registrations(council: Council) -> None:
    """Nothing is left of a registration that is refused."""
    council.terminal("bus-12")
    refused = [
        ("bus-12", pem(), "vale-buses", AlreadyExists),
        ("bus-13", pem(), "no-buses", ProviderUnknown),
        ("bus-13", b"not a request", "vale-buses", CertificateRequestRefused),
        ("bus 13", pem(), "vale-buses", OrderInvalid),
        ("bus-13", csr(ec.generate_private_key(ec.SECP384R1()), "b").public_bytes(Encoding.PEM), "vale-buses",
         CertificateRequestRefused),
    ]  # fmt: skip
    for terminal_id, request, provider, error in refused:
        with pytest.raises(error):
            register(council, terminal_id, request, provider)
    with council.context.database.reading() as connection:
        assert terminals.find_terminal(connection, "bus-13") is None


def test_roles() -> None:
    """What a role covers is data: of the services for their actions, and here for duties."""
    services = discover()
    assert {"issuer", "validator"} <= known_roles(services)
    assert may_ask("validator", services["transport"], "single-fare")
    assert not may_ask("issuer", services["transport"], "single-fare")
    assert not may_ask("validator", services["transport"], "refund")
    assert not may_ask("validator", None, "single-fare")
    assert has_duty("issuer", Duty.PERSONALISE)
    assert not has_duty("validator", Duty.PERSONALISE)
    assert not has_duty("nobody", Duty.PERSONALISE)


def test_anybody_can_be_refused_but_not_fill_the_database(council: Council) -> None:
    """Of unsigned requests so many a minute are written down, and no more."""
    for _ in range(70):
        assert council.client.get("/v1/nonce").status_code == 401
    with council.context.database.reading() as connection:
        assert len(list(security_events(connection, limit=1000))) == 60
    council.clock.advance(minutes=1)
    council.client.get("/v1/nonce")
    with council.context.database.reading() as connection:
        assert len(list(security_events(connection, limit=1000))) == 61


def test_budget() -> None:
    """So many a minute, counted anew from the next one on."""
    budget = Budget(2)
    assert [budget.take(START) for _ in range(3)] == [True, True, False]
    assert not budget.take(START + timedelta(seconds=59))
    assert budget.take(START + timedelta(seconds=60))
