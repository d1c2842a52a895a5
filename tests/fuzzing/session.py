"""Any answers to what a session asks of a card: a result or an error of ours, and never a proof of presence.

What anybody could copy from a card of the scheme is among the seeds: number, certificate, an old signature.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki.clock import system_clock
from pki.errors import PkiError
from pki.profiles import CARD_AUTHENTICATION
from pki.scheme import ROOT, Scheme, create_scheme
from pki.trust import TrustStore
from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import KeyReference, ObjectId
from reader_agent.errors import AgentError
from reader_agent.known_cards import KnownCards
from reader_agent.piv.session import PivSession
from reader_agent.tapping import identify
from reader_agent.trust import SchemeTrust
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.fuzzing.pieces import join, split
from tests.reader_agent.verbs import VERBS, Answers

_VERBS = tuple(VERBS.values())
# The first byte of an input, beside the numbers of verbs
IDENTIFY, IDENTIFY_KNOWN = 0xFE, 0xFF


@dataclass(frozen=True, slots=True)
class Responses:
    """The first byte says what is asked; the answers come round again, so that none of them is the last."""

    trust: SchemeTrust
    moment: datetime
    number: UUID
    certificate: x509.Certificate
    genuine: CardState

    def __call__(self, data: bytes) -> None:
        given = [piece for piece in split(data[1:]) if len(piece) >= 2] or [b"\x90\x00"]
        answers = itertools.cycle(given)
        asked = PivSession(Answers(lambda _: next(answers)))
        verb = data[0] if data else 0
        with suppress(AgentError):
            if verb in (IDENTIFY, IDENTIFY_KNOWN):
                with suppress(PkiError):
                    self._prove(asked, is_known=verb == IDENTIFY_KNOWN)
                    raise AssertionError("bytes without a key have proved to be a card")
            else:
                _VERBS[verb % len(_VERBS)](asked)
        asked.close()

    def _prove(self, asked: PivSession, *, is_known: bool) -> None:
        known = KnownCards()
        if is_known:
            known.keep(self.number, self.certificate)
        identify(asked, self.trust, self.moment, known).prove_presence()

    def seeds(self) -> list[bytes]:
        """What the scheme's card has answered to each of the questions."""
        found = []
        for number, ask in enumerate(_VERBS):
            connection = self._recorded()
            with suppress(AgentError):
                ask(PivSession(connection))
            found.append(bytes((number,)) + join(connection.given))
        for verb in (IDENTIFY, IDENTIFY_KNOWN):
            connection = self._recorded()
            self._prove(PivSession(connection), is_known=verb == IDENTIFY_KNOWN)
            found.append(bytes((verb,)) + join(connection.given))
        return found

    def _recorded(self) -> "_Recorded":
        card = VirtualCard(self.genuine, Face.CONTACT)
        card.power_on()
        return _Recorded(card)


class _Recorded(Answers):
    """A connection to a card, with what it has answered."""

    def __init__(self, card: VirtualCard) -> None:
        super().__init__(card.transmit)
        self.given: list[bytes] = []

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        data, sw = super().transmit(command)
        self.given.append(data + sw.to_bytes(2))
        return data, sw


@contextmanager
def session(folder: Path) -> Iterator[Responses]:
    """The target."""
    moment = datetime.now(UTC)
    scheme = create_scheme(folder / "scheme", "ashcombe", "Ashcombe Card", b"fuzzing", None, system_clock()())
    number, key = uuid4(), ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    certificate = scheme.authority("cards").issue(csr, CARD_AUTHENTICATION, str(number), moment)
    memory = (
        factory_memory(os.urandom)
        .with_private_key(
            KeyReference.CARD_AUTHENTICATION,
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        )
        .with_object(
            ObjectId.CARD_AUTHENTICATION_CERTIFICATE,
            piv.encode_certificate(certificate.public_bytes(Encoding.DER)),
        )
        .with_object(ObjectId.CHUID, piv.Chuid(number, date(2040, 1, 1)).encode())
    )
    with CardState.create(folder / "card.json", memory) as genuine:
        yield Responses(_trust(scheme, moment), moment, number, certificate, genuine)


def _trust(scheme: Scheme, moment: datetime) -> SchemeTrust:
    below = tuple(found for name, found in scheme.certificates.items() if name != ROOT)
    crls = tuple(scheme.authority(name).make_crl(moment) for name in scheme.certificates)
    return SchemeTrust(scheme.id, TrustStore((scheme.certificates[ROOT],), below, crls), (), moment)
