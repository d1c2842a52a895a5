"""What anybody may read: certificates and lists that `openssl` understands, and the service's health."""

import subprocess
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from psycopg import sql
from sqlalchemy import make_url

from cardservice.context import Context
from pki.verification import Purpose, TrustStore, verify
from tests.support.council import Council, from_base64url
from tests.support.databases import ADMINISTRATOR, DatabaseUrls


def test_trust_is_all_a_terminal_needs(council: Council) -> None:
    """A card's certificate verifies with nothing else, and so does the one that answers are signed under."""
    card = council.card()
    answer = council.client.get("/pki/trust").get_json()
    assert answer["scheme"] == "ashcombe"
    root, *others, answering, listing = (
        x509.load_der_x509_certificate(from_base64url(der)) for der in answer["certificates"]
    )
    crls = tuple(x509.load_der_x509_crl(from_base64url(der)) for der in answer["crls"])
    assert len(crls) == len(others) + 1
    trust = TrustStore((root,), tuple(others), crls)
    leaf = x509.load_der_x509_certificate(card.certificate)
    held = verify(leaf, Purpose.CARD_AUTHENTICATION, council.clock(), trust)
    assert held.identity == str(card.id)
    assert verify(answering, Purpose.SERVICE, council.clock(), trust).identity == "cardservice"
    assert verify(listing, Purpose.STATEMENT_SIGNER, council.clock(), trust).identity == "status-list"
    assert answer["status_lists"] == [f"{council.context.pki.public_url}/status/0"]


def test_who_reads_status_lists_gets_no_list_of_cards(council: Council) -> None:
    """The long ones are left out; all else is the same."""
    council.card()
    everything = council.client.get("/pki/trust").get_json()
    rest = council.client.get("/pki/trust?cards=status-list").get_json()
    assert rest | {"crls": everything["crls"]} == everything
    issuers = [x509.load_der_x509_crl(from_base64url(der)).issuer for der in rest["crls"]]
    names = ("root", "terminals", "service")
    assert issuers == [council.context.certificates[name].subject for name in names]


def test_openssl_accepts_and_once_revoked_refuses(council: Council, tmp_path: Path) -> None:
    """`openssl verify -crl_check` with what the service publishes."""
    card = council.card()
    (tmp_path / "card.crt").write_bytes(
        x509.load_der_x509_certificate(card.certificate).public_bytes(Encoding.PEM)
    )
    for name in ("root", "cards"):
        der = council.client.get(f"/pki/{name}.crt").data
        (tmp_path / f"{name}.crt").write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    assert _verified(council, tmp_path) == "card.crt: OK"
    council.clock.advance(seconds=1)
    council.revoke(card)
    assert "certificate revoked" in _verified(council, tmp_path)


def test_lists_are_renewed_in_good_time(council: Council) -> None:
    """A list is valid for a week; a day later there is a new one, with a higher number."""
    first = _crl(council)
    council.clock.advance(hours=23)
    assert _crl(council) == first
    council.clock.advance(hours=2)
    second = _crl(council)
    assert second.next_update_utc == first.next_update_utc + timedelta(hours=25)  # type: ignore[operator]
    assert _number(second) == _number(first) + 1


def test_unknown_authority(council: Council) -> None:
    """No such list, no such certificate."""
    for path in ("/pki/bakers.crl", "/pki/bakers.crt"):
        response = council.client.get(path)
        assert (response.status_code, response.get_json()["code"]) == (404, "not_found")


def test_health(council: Council, context: Context) -> None:
    """Alive and ready."""
    assert council.client.get("/healthz/live").get_json() == {"status": "live"}
    assert council.client.get("/healthz/ready").get_json() == {"status": "ready"}


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_ready_while_the_database_is_away(council: Council, database_urls: DatabaseUrls) -> None:
    """Not, until it answers again; the process lives, and says when to ask again."""
    url = make_url(database_urls.owner)
    assert url.database is not None
    name = sql.Identifier(url.database)
    with psycopg.connect(
        host=str(url.query["host"]), user=ADMINISTRATOR, dbname="postgres", autocommit=True
    ) as server:
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database]
        )
        refused = council.client.get("/healthz/ready")
        assert (refused.status_code, refused.get_json()["code"]) == (503, "unavailable")
        assert refused.headers["Retry-After"] == "1"
        assert council.client.get("/healthz/live").status_code == 200
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
    assert council.client.get("/healthz/ready").get_json() == {"status": "ready"}


def _crl(council: Council) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(council.client.get("/pki/cards.crl").data)


def _number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _verified(council: Council, folder: Path) -> str:
    (folder / "cards.crl").write_bytes(_crl(council).public_bytes(Encoding.PEM))
    done = subprocess.run(
        [
            *("openssl", "verify", "-attime", str(int(council.clock().timestamp())), "-crl_check"),
            *("-CAfile", "root.crt", "-untrusted", "cards.crt", "-CRLfile", "cards.crl", "card.crt"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def test_trust_that_has_not_changed_is_not_sent_again(council: Council) -> None:
    """By its tag; anybody may keep it, and asks whether it still is so."""
    first = council.client.get("/pki/trust")
    assert first.headers["Cache-Control"] == "no-cache"
    kept = {"If-None-Match": first.headers["ETag"]}
    again = council.client.get("/pki/trust", headers=kept)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    council.clock.advance(seconds=1)
    council.revoke(council.card())
    assert council.client.get("/pki/trust", headers=kept).status_code == 200
