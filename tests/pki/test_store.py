"""The certificate store on sqlite3."""

import json
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from pki import sqlite_schema
from pki.errors import SerialTaken
from pki.sqlite_store import SqliteCertificateStore
from pki.status_list.allocation import LIST_SIZE
from pki.store import CERTIFICATE_HOLD, CertificateStore, IssuedCertificate, StoredCrl
from pki.trail import checked, next_entry

START = datetime(2026, 11, 24, 8, 0, 0, 123_000, tzinfo=UTC)
SAMPLE = IssuedCertificate(
    authority="cards",
    issuer="cards",
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
    store.record([SAMPLE])
    for each in (store, SqliteCertificateStore(tmp_path / "certificates.sqlite")):
        assert each.find("cards", SAMPLE.serial) == SAMPLE
    assert store.find("cards", 1) is None
    assert store.find("terminals", SAMPLE.serial) is None


def test_a_serial_number_is_given_once(store: SqliteCertificateStore) -> None:
    store.record([SAMPLE])
    with pytest.raises(SerialTaken):
        store.record([replace(SAMPLE, identity="another")])
    store.record([replace(SAMPLE, authority="terminals")])


def test_the_latest_of_an_identity_comes_first(store: SqliteCertificateStore) -> None:
    records = [replace(SAMPLE, serial=n, issued_at=START + timedelta(minutes=n)) for n in (1, 2, 3)]
    for record in (records[1], records[0], records[2]):
        store.record([record])
    assert store.find_by_identity("cards", SAMPLE.identity) == records[::-1]
    assert store.issued("cards") == records[::-1]
    assert store.find_by_identity("cards", "nobody") == []


DAY = timedelta(days=1)


def test_a_revocation_is_recorded_once(store: SqliteCertificateStore) -> None:
    store.record([SAMPLE])
    assert store.revoke("cards", SAMPLE.serial, START, "superseded", START + DAY)
    assert not store.revoke("cards", SAMPLE.serial, START + DAY, "key_compromise", START + 2 * DAY)
    revoked = replace(SAMPLE, revoked_at=START, reason="superseded", status_changed_at=START + DAY)
    assert list(store.revoked("cards")) == [revoked]
    assert list(store.revoked("terminals")) == []
    assert store.find("cards", SAMPLE.serial) == revoked


def test_a_hold_ends_by_release_or_by_revocation(store: SqliteCertificateStore) -> None:
    store.record([SAMPLE])
    assert not store.release("cards", SAMPLE.serial, START)
    assert store.revoke("cards", SAMPLE.serial, START, CERTIFICATE_HOLD, START)
    assert not store.revoke("cards", SAMPLE.serial, START + DAY, CERTIFICATE_HOLD, START + DAY)
    assert store.release("cards", SAMPLE.serial, START + DAY)
    assert store.find("cards", SAMPLE.serial) == replace(SAMPLE, status_changed_at=START + DAY)
    store.revoke("cards", SAMPLE.serial, START + 2 * DAY, CERTIFICATE_HOLD, START + 2 * DAY)
    assert store.revoke("cards", SAMPLE.serial, START + 3 * DAY, "key_compromise", START + 3 * DAY)
    found = store.find("cards", SAMPLE.serial)
    assert found is not None
    # Bad from when it was held on
    assert (found.revoked_at, found.reason) == (START + 2 * DAY, "key_compromise")
    assert not store.release("cards", SAMPLE.serial, START + 4 * DAY)


def test_a_place_in_the_status_list_is_given_once(store: SqliteCertificateStore) -> None:
    identities = ("a", "b", "a", "c", "b")
    given = [store.status_index("cards", identity) for identity in identities]
    assert given == [given[0], given[1], given[0], given[3], given[1]]
    assert len(set(given)) == 3
    assert all(0 <= index < LIST_SIZE for index in given)
    assert store.status_index("terminals", "c") == store.status_index("terminals", "c")


def test_a_transaction_is_kept_whole_or_not_at_all(store: SqliteCertificateStore) -> None:
    def break_off() -> None:
        with store.transaction() as records:
            records.record([SAMPLE])
            assert records.status_index("cards", "a") < LIST_SIZE
            with records.transaction() as inner:
                assert inner.find("cards", SAMPLE.serial) == SAMPLE
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        break_off()
    assert store.find("cards", SAMPLE.serial) is None
    with store.transaction() as records:
        records.record([SAMPLE])
    assert store.find("cards", SAMPLE.serial) == SAMPLE


def test_the_trail_is_only_ever_added_to(store: SqliteCertificateStore, tmp_path: Path) -> None:
    entry = next_entry(None, "cards", "issue", "clerk", START, {"serial": "1"})
    store.append_trail([entry])
    assert list(store.trail("cards")) == [entry]
    assert store.trail_head("cards") == entry.head
    for statement in ("UPDATE trail SET actor = 'x'", "DELETE FROM trail"):
        with (
            closing(sqlite3.connect(tmp_path / "certificates.sqlite")) as connection,
            pytest.raises(sqlite3.IntegrityError, match="only ever added to"),
        ):
            connection.execute(statement)


@pytest.mark.parametrize("text", ["cards", 'quo"te', "back\\slash", "Zoë\n\U0001f600"])
def test_what_an_entry_hashes_is_json(text: str) -> None:
    """So that another can follow the trail with any encoder."""
    entry = next_entry(None, text, text, text, START, {"serial": text, "shard": None, "number": 7})
    detail = json.dumps({"number": 7, "serial": text, "shard": None}, separators=(",", ":"))
    fields = ["citizen-card-trail/1", "00" * 32, text, 1, entry.at_ms, text, text, detail]
    assert entry.detail == detail
    assert entry.sha256 == sha256(json.dumps(fields, separators=(",", ":")).encode()).digest()


def test_a_file_from_before_there_was_a_trail_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(sqlite_schema._FIRST)
        for serial, revoked_at, reason in (("1", None, None), ("2", 5, "superseded")):
            connection.execute(
                "INSERT INTO certificate VALUES ('cards', ?, 'a-profile', 'x', x'3000', 1, 2, 3, ?, ?)",
                (serial, revoked_at, reason),
            )
        connection.execute("INSERT INTO crl VALUES ('cards', 7, 1, 2, x'30')")
    for _ in range(2):
        store = SqliteCertificateStore(path)
        found = store.find("cards", 2)
        assert found is not None
        assert (found.issuer, found.reason, found.status_changed_at) == (
            "cards",
            "superseded",
            found.revoked_at,
        )
        latest = store.latest_crl("cards", "cards")
        assert latest is not None
        assert latest.number == 7
        entries = checked(store.trail("cards"), "cards")
        assert [(entry.operation, entry.facts["serial"]) for entry in entries] == [
            ("import", "1"),
            ("import", "2"),
        ]


def test_times_are_cut_to_the_millisecond_and_never_naive(store: SqliteCertificateStore) -> None:
    store.record([replace(SAMPLE, issued_at=START + timedelta(microseconds=999))])
    assert store.find("cards", SAMPLE.serial) == SAMPLE
    with pytest.raises(ValueError, match="time zone"):
        store.revoke("cards", SAMPLE.serial, START.replace(tzinfo=None), "superseded", START)


def test_lists_are_kept_and_the_highest_number_is_the_latest(store: SqliteCertificateStore) -> None:
    assert store.latest_crl("cards") is None
    for number in (1, 3, 2):
        store.record_crl(_crl(number))
    store.record_crl(_crl(4, shard=0))
    store.record_crl(_crl(5, base_number=3))
    store.record_crl(_crl(6, issuer="cards-2"))
    successor = store.latest_crl("cards")
    assert successor is not None
    assert successor.number == 6
    latest = store.latest_crl("cards", "cards")
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
    store.record([SAMPLE])
    assert stat.S_IMODE((tmp_path / "certificates.sqlite").stat().st_mode) == 0o600


def _crl(
    number: int, *, issuer: str = "cards", shard: int | None = None, base_number: int | None = None
) -> StoredCrl:
    return StoredCrl(
        authority="cards",
        number=number,
        issuer=issuer,
        this_update=START,
        next_update=START + timedelta(days=number),
        der=bytes([number]),
        shard=shard,
        base_number=base_number,
    )
