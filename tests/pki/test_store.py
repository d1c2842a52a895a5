"""The certificate store on sqlite3."""

import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pki.store import CertificateStore, IssuedCertificate, SqliteCertificateStore

START = datetime(2026, 11, 24, 8, 0, 0, 123_000, tzinfo=UTC)
SAMPLE = IssuedCertificate(
    authority="cards",
    serial=2**127 + 1,
    profile="card-authentication",
    identity="0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5f6",
    der=b"\x30\x00",
    not_before=START,
    not_after=START + timedelta(days=1),
    issued_at=START,
)


@pytest.fixture
def store(tmp_path: Path) -> SqliteCertificateStore:
    return SqliteCertificateStore(tmp_path / "certificates.sqlite")


def test_it_is_a_certificate_store(store: SqliteCertificateStore) -> None:
    seam: CertificateStore = store
    assert list(seam.revoked("cards")) == []


def test_a_record_comes_back(store: SqliteCertificateStore, tmp_path: Path) -> None:
    store.record(SAMPLE)
    for each in (store, SqliteCertificateStore(tmp_path / "certificates.sqlite")):
        assert each.find("cards", SAMPLE.serial) == SAMPLE
    assert store.find("cards", 1) is None
    assert store.find("terminals", SAMPLE.serial) is None


def test_a_serial_number_is_given_once(store: SqliteCertificateStore) -> None:
    store.record(SAMPLE)
    with pytest.raises(Exception, match="UNIQUE"):
        store.record(replace(SAMPLE, identity="another"))
    store.record(replace(SAMPLE, authority="terminals"))


def test_the_latest_of_an_identity_comes_first(store: SqliteCertificateStore) -> None:
    records = [replace(SAMPLE, serial=n, issued_at=START + timedelta(minutes=n)) for n in (1, 2, 3)]
    for record in (records[1], records[0], records[2]):
        store.record(record)
    assert store.find_by_identity("cards", SAMPLE.identity) == records[::-1]
    assert store.issued("cards") == records[::-1]
    assert store.find_by_identity("cards", "nobody") == []


def test_a_revocation_is_recorded_once(store: SqliteCertificateStore) -> None:
    store.record(SAMPLE)
    store.revoke("cards", SAMPLE.serial, START, "superseded")
    store.revoke("cards", SAMPLE.serial, START + timedelta(days=1), "key_compromise")
    revoked = replace(SAMPLE, revoked_at=START, reason="superseded")
    assert list(store.revoked("cards")) == [revoked]
    assert list(store.revoked("terminals")) == []
    assert store.find("cards", SAMPLE.serial) == revoked


def test_times_are_cut_to_the_millisecond_and_never_naive(store: SqliteCertificateStore) -> None:
    store.record(replace(SAMPLE, issued_at=START + timedelta(microseconds=999)))
    assert store.find("cards", SAMPLE.serial) == SAMPLE
    with pytest.raises(ValueError, match="time zone"):
        store.revoke("cards", SAMPLE.serial, START.replace(tzinfo=None), "superseded")


def test_lists_are_kept_and_the_highest_number_is_the_latest(store: SqliteCertificateStore) -> None:
    assert store.latest_crl("cards") is None
    for number in (1, 3, 2):
        store.record_crl("cards", number, START, START + timedelta(days=number), bytes([number]))
    latest = store.latest_crl("cards")
    assert latest is not None
    assert (latest.number, latest.der, latest.next_update) == (3, b"\x03", START + timedelta(days=3))
    assert store.latest_crl("terminals") is None


def test_a_list_number_is_given_once_also_to_many_at_a_time(store: SqliteCertificateStore) -> None:
    given: list[int] = []
    threads = [
        threading.Thread(target=lambda: given.extend(store.next_crl_number("cards") for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 41))
    assert store.next_crl_number("terminals") == 1


def test_only_the_owner_can_read(store: SqliteCertificateStore, tmp_path: Path) -> None:
    store.record(SAMPLE)
    assert stat.S_IMODE((tmp_path / "certificates.sqlite").stat().st_mode) == 0o600
