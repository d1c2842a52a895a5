"""Revocation lists that are put together by hand, beside `cryptography`, `openssl` and pkilint."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import der
from pki.crl import CrlHead, RevokedEntry, build_crl, write_crl
from pki.errors import ReasonUnknown
from tests.pki.conftest import START, new_key
from tests.pki.linting import crl_findings

KEY = new_key()
ISSUER = x509.Name(
    [
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Ashcombe Card"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ashcombe Card Cards"),
    ]
)
SHARD = "https://cards.example/pki/cards/4/1.crl"
DELTA = "https://cards.example/pki/cards-delta.crl"
REASONS = sorted(reason.name for reason in x509.ReasonFlags if reason is not x509.ReasonFlags.aa_compromise)

moments = st.datetimes(datetime(1990, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the zone
entries = st.builds(RevokedEntry, st.integers(1, 2**159 - 1), moments, st.sampled_from(REASONS))
heads = st.builds(
    CrlHead,
    issuer=st.just(ISSUER),
    authority_key=st.just(x509.AuthorityKeyIdentifier.from_issuer_public_key(KEY.public_key())),
    number=st.integers(0, 2**64),
    this_update=st.just(START),
    next_update=moments.filter(lambda moment: moment > START),
    base_number=st.none() | st.integers(0, 2**64),
    distribution_point=st.none() | st.just(SHARD),
    freshest_at=st.none() | st.just(DELTA),
)


def head(**changes: object) -> CrlHead:
    values: dict[str, object] = {
        "issuer": ISSUER,
        "authority_key": x509.AuthorityKeyIdentifier.from_issuer_public_key(KEY.public_key()),
        "number": 7,
        "this_update": START,
        "next_update": START + timedelta(days=7),
    }
    return CrlHead(**(values | changes))  # type: ignore[arg-type]  # one value of each field's type


def by_the_library(of: CrlHead, revoked: list[RevokedEntry]) -> x509.CertificateRevocationList:
    """The same list by `cryptography`'s builder."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(of.issuer)
        .last_update(of.this_update)
        .next_update(of.next_update)
    )
    for value, critical in of.extensions():
        builder = builder.add_extension(value, critical)
    for serial, revoked_at, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at)
        if reason != "unspecified":
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags[reason]), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(KEY, hashes.SHA256())


@given(heads, st.lists(entries, max_size=12))
@settings(deadline=None)
def test_the_bytes_are_the_librarys(of: CrlHead, revoked: list[RevokedEntry]) -> None:
    """All of them but the signature, which is another one each time."""
    ours, theirs = build_crl(of, revoked, KEY), by_the_library(of, revoked)
    crl = x509.load_der_x509_crl(ours)
    assert crl.tbs_certlist_bytes == theirs.tbs_certlist_bytes
    assert crl.is_signature_valid(KEY.public_key())
    tail = der.ECDSA_WITH_SHA256 + der.tlv(der.BIT_STRING, b"\x00", theirs.signature)
    assert der.tlv(der.SEQUENCE, crl.tbs_certlist_bytes, tail) == theirs.public_bytes(Encoding.DER)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 60, 1_300, 5_000])
def test_any_length(count: int) -> None:
    """Around the boundaries of length octets, and where entries come in several chunks."""
    revoked = [RevokedEntry(n + 2**127, START + timedelta(seconds=n), "superseded") for n in range(count)]
    crl = x509.load_der_x509_crl(build_crl(head(), revoked, KEY))
    assert crl.is_signature_valid(KEY.public_key())
    assert [(entry.serial_number, entry.revocation_date_utc) for entry in crl] == [
        (entry.serial, entry.revoked_at) for entry in revoked
    ]


def test_entries_pass_through_a_file_where_there_are_many() -> None:
    """More than is kept in memory; read back by its own bytes."""
    count = 200_000
    revoked = (RevokedEntry(n + 2**127, START, "key_compromise") for n in range(count))
    out = BytesIO()
    write_crl(out, head(), revoked, KEY)
    crl = x509.load_der_x509_crl(out.getvalue())
    assert crl.is_signature_valid(KEY.public_key())
    assert len(crl) == count
    assert crl.get_revoked_certificate_by_serial_number(2**127 + count - 1) is not None


@pytest.mark.parametrize("reason", ["aa_compromise", "stolen", ""])
def test_a_reason_that_no_list_can_give(reason: str) -> None:
    with pytest.raises(ReasonUnknown):
        build_crl(head(), [RevokedEntry(1, START, reason)], KEY)


def test_what_breaks_off_has_written_nothing() -> None:
    """Nothing goes out before everything is signed: a list is never cut short."""

    def entries_that_break_off() -> Iterator[RevokedEntry]:
        yield RevokedEntry(1, START, "superseded")
        raise OSError("the records are gone")

    out = BytesIO()
    with pytest.raises(OSError, match="records"):
        write_crl(out, head(), entries_that_break_off(), KEY)
    assert out.getvalue() == b""


LISTS: dict[str, tuple[dict[str, object], list[RevokedEntry]]] = {
    "empty": ({}, []),
    "full": ({}, [RevokedEntry(n + 1, START, reason) for n, reason in enumerate(REASONS[:-1])]),
    "with deltas": ({"freshest_at": DELTA}, [RevokedEntry(9, START, "certificate_hold")]),
    "delta": ({"base_number": 6}, [RevokedEntry(9, START, "remove_from_crl")]),
    "shard": ({"distribution_point": SHARD}, [RevokedEntry(9, START, "key_compromise")]),
    "delta of a shard": (
        {"distribution_point": SHARD, "base_number": 3},
        [RevokedEntry(2**127, START, "certificate_hold")],
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_pkilint_finds_nothing(name: str) -> None:
    changes, revoked = LISTS[name]
    revoked = [entry for entry in revoked if "base_number" in changes or entry.reason != "remove_from_crl"]
    assert crl_findings(build_crl(head(**changes), revoked, KEY)) == []


def test_pkilint_would_find_something() -> None:
    """A list that ends before it begins."""
    crl = build_crl(head(next_update=START - timedelta(days=1)), [], KEY)
    assert crl_findings(crl) != []


@pytest.mark.parametrize("name", LISTS)
def test_openssl_reads_it(name: str, tmp_path: Path) -> None:
    changes, revoked = LISTS[name]
    with (tmp_path / "list.crl").open("wb") as file:
        write_crl(file, head(**changes), revoked, KEY)
    done = subprocess.run(
        ["openssl", "crl", "-inform", "DER", "-in", tmp_path / "list.crl", "-noout", "-text", "-crlnumber"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Signature Algorithm: ecdsa-with-SHA256" in done.stdout
    assert done.stdout.count("Serial Number:") == len(revoked)
    assert done.stdout.startswith("crlNumber=0x07\n")
    told = " ".join(done.stdout.split())
    if "distribution_point" in changes:
        assert f"X509v3 Issuing Distribution Point: critical Full Name: URI:{SHARD}" in told
    if "base_number" in changes:
        assert "X509v3 Delta CRL Indicator: critical" in done.stdout
    if name == "delta":
        assert "Remove From CRL" in done.stdout
