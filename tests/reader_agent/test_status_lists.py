"""What a terminal knows of cards by the scheme's signed status lists; the authorities here are real."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import CertificateRevoked, StatusListUnavailable, StatusStale, StatusUnknown
from pki.profiles import CARD_AUTHENTICATION
from pki.published import publish
from pki.scheme import Scheme, create_scheme
from pki.status_list.fetching import Fetched
from pki.verification import Purpose
from pki.verification.errors import CertificateSuspended
from reader_agent.errors import ServiceAnswerInvalid
from reader_agent.status_lists import StatusLists
from reader_agent.trust import SchemeTrust, load_trust, read_trust, save_trust
from reader_agent.wire import Document, to_base64url
from tests.pki.conftest import CARD, csr_for, new_key

START = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADDRESS = "https://cards.ashcombe.example/pki"


@dataclass
class Council:
    """A scheme that publishes, and a terminal's folder."""

    scheme: Scheme
    folder: Path
    card: x509.Certificate
    moment: datetime = START
    is_away: bool = False
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = publish(self.scheme, lambda: self.moment).desk
        self.lists = StatusLists(lambda number: self.folder / f"status-{number}.cwt", self.fetch)

    def fetch(self, uri: str, headers: Mapping[str, str], /) -> Fetched:
        """What the service would answer."""
        self.asked.append(headers)
        signed = self.desk.status_list(int(uri.rpartition("/")[2]))
        if self.is_away or signed is None:
            raise StatusListUnavailable(uri, "it is away")
        etag = f'W/"{signed.content_sha256.hex()}"'
        if headers.get("If-None-Match") == etag:
            return Fetched(304, b"", etag)
        return Fetched(200, signed.raw, etag)

    def published(self, *, addresses: list[str] | None = None) -> Document:
        """The service's answer to a terminal that reads status lists."""
        signed = self.desk.status_lists()
        certificates = (*self.scheme.certificates.values(), *(each.signer for each in signed))
        lists = [self.scheme.authority(name).make_crl(self.moment) for name in ("root", "service")]
        return Document(
            {
                "scheme": self.scheme.id,
                "certificates": [to_base64url(each.public_bytes(Encoding.DER)) for each in certificates],
                "crls": [to_base64url(each.public_bytes(Encoding.DER)) for each in lists],
                "status_lists": [each.token.uri for each in signed] if addresses is None else addresses,
            },
            "trust",
        )

    def fetched(self) -> SchemeTrust:
        """The terminal's trust, as `Agent.fetch_trust` makes it."""
        trust = read_trust(self.published(), self.scheme.certificates["root"], None, self.moment)
        self.lists.refresh(trust, self.moment)
        return self.lists.held_by(trust, self.moment)

    def check(self, trust: SchemeTrust) -> None:
        """Verify the card as a tap does."""
        assert trust.verify(self.card, Purpose.CARD_AUTHENTICATION, self.moment).identity == CARD


@pytest.fixture
def council(tmp_path: Path) -> Council:
    """With one card, which is good."""
    named = (tmp_path / "scheme", "ashcombe", "Ashcombe Card", b"a passphrase", None, START)
    scheme = create_scheme(*named, public_url=ADDRESS)
    card = scheme.authority("cards").issue(csr_for(new_key()), CARD_AUTHENTICATION, CARD, START)
    return Council(scheme, tmp_path, card)


def test_a_card_is_known_by_its_place(council: Council) -> None:
    """Good, suspended, good again, revoked; and no revocation list of cards is fetched or kept."""
    cards, serial = council.scheme.authority("cards"), council.card.serial_number
    trust = council.fetched()
    council.check(trust)
    assert len(trust.lists) == len(trust.status_lists) == 1
    assert not [crl for crl in trust.store.crls if crl.issuer == council.card.issuer]
    council.moment += HOUR
    cards.suspend(serial, council.moment)
    with pytest.raises(CertificateSuspended):
        council.check(council.fetched())
    council.moment += HOUR
    cards.release(serial, council.moment)
    council.check(council.fetched())
    council.moment += HOUR
    cards.revoke(serial, council.moment, "key_compromise")
    revoked = council.fetched()
    with pytest.raises(CertificateRevoked):
        council.check(revoked)
    assert revoked.signed_time == council.moment


def test_what_has_not_changed_is_not_sent_again(council: Council) -> None:
    """The second time the terminal says what it has."""
    council.fetched()
    council.check(council.fetched())
    assert "If-None-Match" not in council.asked[0]
    assert "If-None-Match" in council.asked[1]


def test_a_copy_serves_until_it_is_stale(council: Council) -> None:
    """Kept on disk and read again by another program; a week later it says nothing any more."""
    path = council.folder / "trust.json"
    save_trust(council.fetched(), path)
    council.is_away = True
    council.moment += 6 * DAY
    council.lists = StatusLists(lambda number: council.folder / f"status-{number}.cwt", council.fetch)
    trust = council.lists.held_by(load_trust(path, council.scheme.certificates["root"]), council.moment)
    council.lists.refresh(trust, council.moment)
    council.check(trust)
    council.moment += 2 * DAY
    with pytest.raises(StatusStale):
        council.check(trust)


def test_without_a_list_no_card_is_good(council: Council) -> None:
    """None fetched, or one that is damaged or not its signer's: the status is unknown, which is refused."""
    council.is_away = True
    with pytest.raises(StatusUnknown):
        council.check(council.fetched())
    council.is_away = False
    council.check(council.fetched())
    copy = council.folder / "status-0.cwt"
    genuine = copy.read_bytes()
    for damaged in (b"", genuine[:-1], genuine[:-1] + bytes([genuine[-1] ^ 1])):
        copy.write_bytes(damaged)
        council.is_away = True
        with pytest.raises(StatusUnknown):
            council.check(council.fetched())
    council.is_away = False
    council.check(council.fetched())


def test_an_older_list_does_not_come_back(council: Council) -> None:
    """Whoever replays the list of an hour ago does not bring a revoked card back."""
    trust = council.fetched()
    old = (council.folder / "status-0.cwt").read_bytes()
    council.moment += HOUR
    council.scheme.authority("cards").revoke(council.card.serial_number, council.moment, "unspecified")
    council.fetched()
    replaying = StatusLists(
        lambda number: council.folder / f"status-{number}.cwt", lambda _, __, /: Fetched(200, old, '"old"')
    )
    replaying.refresh(trust, council.moment)
    with pytest.raises(CertificateRevoked):
        council.check(replaying.held_by(trust, council.moment))


@pytest.mark.parametrize(
    "address", ["https://x/pki/status/../../etc", "file:///status/0", "https://x/status/"]
)
def test_an_address_names_a_number(council: Council, address: str) -> None:
    """It becomes a file's name."""
    with pytest.raises(ServiceAnswerInvalid, match="its number"):
        read_trust(
            council.published(addresses=[address]), council.scheme.certificates["root"], None, council.moment
        )
