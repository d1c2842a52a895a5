"""A card known by its UID alone: fetched by ETag, refused when stale, nothing good that is not known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import (
    CardMapRefused,
    CardMapStale,
    CardMapUnavailable,
    CardUnmapped,
    PkiError,
    StatusListStale,
    StatusListUnavailable,
)
from pki.extensions import status_index_of
from pki.keys import FileKeyStore
from pki.profiles import CARD_AUTHENTICATION
from pki.published import publish
from pki.scheme import create_scheme
from pki.status_list import CardStatus
from pki.status_list.card_map import MapKey, make_map, sign_map
from pki.status_list.fetching import Fetched
from reader_agent.card_maps import CardMaps
from reader_agent.errors import AgentError, ServiceUnreachable
from reader_agent.status_lists import StatusLists
from reader_agent.trust import SchemeTrust, read_trust
from reader_agent.wire import Document, to_base64url
from tests.pki.conftest import CARD, csr_for, new_key

START = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
MINUTES, DAY = timedelta(minutes=6), timedelta(days=1)
UID = bytes.fromhex("04a1b2c3d4e5f6")


@dataclass
class Town:
    """A scheme with one card, its service, and a terminal's folder."""

    folder: Path
    moment: datetime = START
    key: MapKey = field(default_factory=lambda: MapKey(bytes(range(32))))
    is_away: bool = False
    # How long its maps hold, and how long ago they were made beside the hour's
    holds: timedelta = 7 * DAY
    made_before: timedelta = timedelta(0)
    sent: int = 0
    keys_given: int = 0
    NAMED: ClassVar = ("ashcombe", "Ashcombe Card", b"a passphrase", None, START)

    def __post_init__(self) -> None:
        public_url = "https://cards.ashcombe.example/pki"
        self.scheme = create_scheme(self.folder / "scheme", *self.NAMED, public_url=public_url)
        self.card = self.scheme.authority("cards").issue(csr_for(new_key()), CARD_AUTHENTICATION, CARD, START)
        self.desk = publish(self.scheme, lambda: self.moment).desk
        self.start()

    def start(self) -> None:
        """The terminal's program, again: what it had in memory is gone."""
        self.lists = StatusLists(lambda number: self.folder / f"status-{number}.cwt", self.status_list)
        self.maps = CardMaps(
            lambda number: self.folder / f"cards-{number}.cwt",
            self.lists,
            self,
            lambda: FileKeyStore(self.folder / "keys", b"another passphrase"),
        )

    def status_list(self, uri: str, _: Mapping[str, str], /) -> Fetched:
        """What the service gives to everybody."""
        signed = self.desk.status_list(0)
        if self.is_away or signed is None:
            raise StatusListUnavailable(uri, "it is away")
        return Fetched(200, signed.raw, None)

    def card_map(self, uri: str, headers: Mapping[str, str], /) -> Fetched:
        """What it gives to this terminal."""
        self._answer()
        begun = self.moment - self.moment.minute * timedelta(minutes=1) - self.made_before
        place = status_index_of(self.card, self.scheme.arc)
        assert place is not None
        card_map = make_map(uri, [(UID, place)], self.key, begun, begun + self.holds)
        etag = f'W/"{begun.isoformat()} {card_map.key_id.hex()}"'
        if headers.get("If-None-Match") == etag:
            return Fetched(304, b"", etag)
        self.sent += 1
        signer = self.desk.statement_signer(self.moment)
        thumbprint = sha256(signer.certificate.public_bytes(Encoding.DER)).digest()
        return Fetched(200, sign_map(card_map, signer.key, thumbprint), etag)

    def card_map_key(self) -> MapKey:
        """The same."""
        self._answer()
        self.keys_given += 1
        return self.key

    def _answer(self) -> None:
        if self.is_away:
            raise ServiceUnreachable("it is away")

    def trust(self) -> SchemeTrust:
        """The terminal's trust with the lists of now."""
        signed = self.desk.status_lists()
        certificates: list[x509.Certificate] = [*self.scheme.certificates.values(), signed[0].signer]
        crls = [self.scheme.authority(name).make_crl(self.moment) for name in ("root", "service")]
        document = {
            "scheme": self.scheme.id,
            "certificates": [to_base64url(each.public_bytes(Encoding.DER)) for each in certificates],
            "crls": [to_base64url(each.public_bytes(Encoding.DER)) for each in crls],
            "status_lists": [each.token.uri for each in signed],
        }
        root = self.scheme.certificates["root"]
        trust = read_trust(Document(document, "trust"), root, None, self.moment)
        self.lists.refresh(trust, self.moment)
        return trust

    def status(self, uid: bytes = UID) -> CardStatus:
        """As `Agent.status_of_uid` asks."""
        trust = self.trust()
        self.maps.refresh(trust, self.moment)
        return self.maps.status(uid, trust, self.moment)

    def refusal(self, uid: bytes = UID) -> type[Exception]:
        """Why there is no status."""
        with pytest.raises((PkiError, AgentError)) as caught:
            self.status(uid)
        return caught.type


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """With one card, which is good."""
    return Town(tmp_path)


def test_known_by_its_uid(town: Town) -> None:
    """Good, suspended, revoked; another is nobody's. The map is sent once, and so is its key."""
    assert town.status() is CardStatus.VALID
    cards, serial = town.scheme.authority("cards"), town.card.serial_number
    town.moment += MINUTES
    cards.suspend(serial, town.moment)
    assert town.status() is CardStatus.SUSPENDED
    town.moment += MINUTES
    cards.revoke(serial, town.moment, "key_compromise")
    assert town.status() is CardStatus.INVALID
    assert town.refusal(bytes(7)) is CardUnmapped
    assert (town.sent, town.keys_given) == (1, 1)


def test_offline_until_it_is_stale(town: Town) -> None:
    """Map and key are in the folder, also for the program that is started next; then nothing is known."""
    town.holds = 2 * DAY
    town.status()
    town.is_away = True
    town.start()
    town.moment += DAY
    assert town.status() is CardStatus.VALID
    town.moment += DAY
    assert town.refusal() is CardMapStale
    town.is_away, town.holds = False, 30 * DAY
    assert town.status() is CardStatus.VALID
    town.is_away = True
    town.moment += 8 * DAY
    assert town.refusal() is StatusListStale
    assert town.keys_given == 1


def test_another_key_is_fetched(town: Town) -> None:
    """With the map that was made under it; until that comes, the one before serves."""
    town.status()
    old, town.key = town.key, MapKey(bytes(32))
    assert town.status() is CardStatus.VALID  # asked a moment ago
    town.moment += MINUTES
    assert (town.status(), town.keys_given) == (CardStatus.VALID, 2)
    copy = (town.folder / "cards-0.cwt").read_bytes()
    assert old.secret not in copy
    assert town.key.secret not in copy
    # A map whose key is gone, and nobody to ask
    town.start()
    for path in (town.folder / "keys").iterdir():
        path.unlink()
    town.is_away = True
    assert town.refusal() is ServiceUnreachable


def test_nothing_is_good_without_a_map(town: Town) -> None:
    """None fetched, or one that is damaged; and a newer one gives way to none that is older."""
    town.is_away = True
    assert town.refusal() is CardMapUnavailable
    town.is_away = False
    town.status()
    copy = town.folder / "cards-0.cwt"
    genuine = copy.read_bytes()
    copy.write_bytes(genuine[:-1] + bytes([genuine[-1] ^ 1]))
    town.start()
    town.is_away = True
    assert town.refusal() is CardMapRefused
    town.is_away = False
    assert town.status() is CardStatus.VALID
    held, sent = copy.read_bytes(), town.sent
    town.moment, town.made_before = town.moment + MINUTES, DAY
    assert town.status() is CardStatus.VALID
    assert (copy.read_bytes() == held, town.sent) == (True, sent + 1)
