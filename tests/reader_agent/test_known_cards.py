"""Cards that were here before: they are asked for less, and nothing is believed for being remembered."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import CertificateExpired, CertificateRevoked
from pki.profiles import CARD_AUTHENTICATION
from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import Instruction, KeyReference, ObjectId
from reader_agent.errors import CardDataMissing, CardProofInvalid, CardRemoved
from reader_agent.known_cards import KnownCards
from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.tapping import Outcome
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.world import DirectConnection, World

KEY_9E = KeyReference.CARD_AUTHENTICATION
CERTIFICATE = ObjectId.CARD_AUTHENTICATION_CERTIFICATE


def tap(world: World) -> list[CommandApdu]:
    """A tap that is approved; what it asked of the card."""
    asked: list[CommandApdu] = []
    result = world.tap(before=lambda _, command: asked.append(CommandApdu.decode(command)))
    assert result.outcome is Outcome.APPROVED
    return asked


def has_read_certificate(asked: list[CommandApdu]) -> bool:
    """Whether the card's certificate was among it."""
    return any(command.data == piv.encode_tag_list(CERTIFICATE) for command in asked)


def own_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A software card's key 9E."""
    key = serialization.load_der_private_key(read_memory(path).private_keys[KEY_9E], None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def certify(
    world: World, key: ec.EllipticCurvePrivateKey, card: UUID, validity_days: int | None = None
) -> x509.Certificate:
    """Another genuine certificate, for this key and card."""
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    authority = world.scheme.authority("cards")
    return authority.issue(csr, CARD_AUTHENTICATION, str(card), world.clock(), validity_days)


def put_on_card(world: World, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Give the world's card another certificate and its key, and have the service know it."""
    der, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    pkcs8 = key.private_bytes(der, form, serialization.NoEncryption())
    content = piv.encode_certificate(certificate.public_bytes(der))
    with CardState.load(world.card_file) as state:
        state.commit(state.memory.with_private_key(KEY_9E, pkcs8).with_object(CERTIFICATE, content))
    world.service.cards[world.card] = certificate


def test_a_known_card_says_its_number_and_signs(world: World) -> None:
    """Nothing else is asked of it, and each tap has a signature of its own."""
    first, second = tap(world), tap(world)
    assert has_read_certificate(first)
    assert [command.ins for command in second] == [
        *(Instruction.SELECT, Instruction.GET_DATA),
        *(Instruction.SELECT, Instruction.GENERAL_AUTHENTICATE),
    ]
    assert not has_read_certificate(second)
    assert world.service.charged == 480
    assert len({*world.service.received}) == 2


def test_a_known_card_that_was_revoked_is_refused(world: World) -> None:
    """As soon as the list is here, like any other card; and again when it comes once more."""
    key = own_key(world.card_file)
    certificate = certify(world, key, world.card)
    put_on_card(world, certificate, key)
    tap(world)
    world.scheme.authority("cards").revoke(certificate.serial_number, world.clock(), "key_compromise")
    world.agent.fetch_trust()
    for _ in range(2):
        with pytest.raises(CertificateRevoked):
            world.tap()
        assert world.agent.known_cards.find(world.card) is None


def test_a_known_card_that_has_expired_is_refused(world: World) -> None:
    """Its certificate ends between two taps."""
    key = own_key(world.card_file)
    put_on_card(world, certify(world, key, world.card, validity_days=1), key)
    tap(world)
    world.clock.offset = timedelta(days=2)
    world.agent.fetch_trust()
    with pytest.raises(CertificateExpired):
        world.tap()
    assert world.agent.known_cards.find(world.card) is None


@pytest.mark.parametrize("what", ["revoked", "of another card", "of a key that the card has no more"])
def test_what_does_not_fit_is_read_again(world: World, what: str) -> None:
    """The card itself is right, and pays in the same tap; from then on its certificate is known."""
    known, key = world.agent.known_cards, own_key(world.card_file)
    match what:
        case "revoked":
            wrong = certify(world, key, world.card)
            world.scheme.authority("cards").revoke(wrong.serial_number, world.clock(), "superseded")
            world.agent.fetch_trust()
        case "of another card":
            wrong = certify(world, key, uuid4())
        case _:
            wrong = certify(world, ec.generate_private_key(ec.SECP256R1()), world.card)
    known.keep(world.card, wrong)
    assert has_read_certificate(tap(world))
    assert known.find(world.card) == world.service.cards[world.card]
    assert not has_read_certificate(tap(world))


def test_a_copy_of_a_known_card_has_not_its_key(world: World) -> None:
    """Number and certificate can be read by everybody; what signs cannot. Nothing is sent."""
    tap(world)
    with CardState.load(world.card_file) as state:
        strange = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        state.commit(state.memory.with_private_key(KEY_9E, strange))
    with pytest.raises(CardProofInvalid):
        world.tap()
    assert world.entries()[1:] == [(EntryKind.REQUEST, EntryState.VOID)]
    assert len(world.service.received) == 1


def test_the_number_of_a_known_card_alone_is_no_card(world: World) -> None:
    """A card that knows the number, and signs, but has no certificate to show."""
    tap(world)
    with CardState.load(world.card_file) as state:
        strange = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        state.commit(state.memory.with_private_key(KEY_9E, strange).with_object(CERTIFICATE, b""))
    with pytest.raises(CardDataMissing):
        world.tap()
    assert world.entries()[1:] == [(EntryKind.REQUEST, EntryState.VOID)]


def test_a_known_card_is_swapped_before_it_signs(world: World, tmp_path: Path) -> None:
    """Another genuine card signs what the known one was asked: it is not that one, and pays nothing."""
    world.issue_card(tmp_path / "another.json")
    tap(world)

    def before(connection: DirectConnection, command: bytes) -> None:
        if command[1] == Instruction.GENERAL_AUTHENTICATE:
            connection.before = lambda *_: None
            connection.swap(tmp_path / "another.json")

    with pytest.raises(CardProofInvalid):
        world.tap(before=before)
    assert world.entries()[1:] == [(EntryKind.REQUEST, EntryState.VOID)]


@pytest.mark.parametrize("count", range(1, 5))
def test_a_known_card_is_pulled_at_any_command(world: World, count: int) -> None:
    """Nothing is charged, nothing is left to tell, and the card is not forgotten for it."""
    tap(world)
    asked = 0

    def before(connection: DirectConnection, _: bytes) -> None:
        nonlocal asked
        asked += 1
        connection.is_pulled = asked == count

    with pytest.raises(CardRemoved):
        world.tap(before=before)
    assert world.service.charged == 240
    assert not world.agent.outbox.entries(EntryState.OPEN, EntryState.PREPARED)
    assert not has_read_certificate(tap(world))


def test_the_memory_is_no_list_of_cards(world: World) -> None:
    """Neither number nor certificate can be read from it, and not twice the same is in two processes."""
    certificate = world.service.cards[world.card]
    der = certificate.public_bytes(serialization.Encoding.DER)
    one, another = KnownCards(), KnownCards()
    for known in (one, another):
        known.keep(world.card, certificate)
        held = b"".join(name + sealed for name, sealed in known._sealed.items())
        assert world.card.bytes not in held
        assert str(world.card).encode() not in held
        assert all(der[start : start + 16] not in held for start in range(0, len(der) - 16, 16))
        assert known.find(world.card) == certificate
        assert known.find(uuid4()) is None
    assert one._sealed.keys().isdisjoint(another._sealed.keys())


def test_the_memory_is_bounded(world: World) -> None:
    """The card that was here longest ago gives way; one that came again was here lately."""
    certificate = world.service.cards[world.card]
    known, (first, second, third) = KnownCards(size=2), (uuid4() for _ in range(3))
    known.keep(first, certificate)
    known.keep(second, certificate)
    assert known.find(first) is not None
    known.keep(third, certificate)
    assert len(known) == 2
    assert known.find(second) is None
    known.forget(first)
    assert known.find(first) is None
    assert known.find(third) is not None
