"""What is read for a message before it is decided, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cardservice.authorisation.messages import AnnulMessage, Message
from cardservice.authorisation.proofs import CardCertificate
from cardservice.cards.service import Card
from cardservice.ids import CardId, PayerId, TransactionId
from cardservice.ledger.privacy import StoredKey
from cardservice.ledger.values import PayerView
from cardservice.tariffs.service import TariffVersion
from cardservice.terminals.service import Terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for: what a message names."""

    # None: the terminal is known already.
    terminal_id: str | None
    card_id: CardId
    # None: the newest of the card's own key.
    certificate_sha256: bytes | None
    time: datetime
    id: TransactionId
    # The transaction that it replaces or annuls.
    other: TransactionId | None
    # None: no tariff is wanted.
    service: str | None
    # The tariff that an advice was decided by; None, or one that is not there: the one in force at `time`.
    tariff_version: str | None

    @property
    def ids(self) -> tuple[TransactionId, ...]:
        """Every id that is looked for."""
        return (self.id,) if self.other is None else (self.id, self.other)


@dataclass(frozen=True, slots=True)
class CrlInForce:
    """The newest complete revocation list of the key that has signed a card's certificate."""

    sha256: bytes
    this_update: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there was, all of it as of one moment; None for what there was not."""

    terminal: Terminal | None
    card: Card | None
    certificate: CardCertificate | None
    key: StoredKey | None
    tariff: TariffVersion | None
    # Who pays at the message's time.
    payer_id: PayerId | None
    # Of every payer that the card's holder has, has had or will have, the first first.
    views: Mapping[PayerId, PayerView]
    # Those of the ids that are taken under one of these payers.
    known: frozenset[UUID]
    crl: CrlInForce | None


def wanted_for(message: Message, terminal_id: str | None) -> Wanted:
    """What a message is decided on."""
    if isinstance(message, AnnulMessage):
        return Wanted(
            terminal_id=terminal_id,
            card_id=message.card_id,
            certificate_sha256=None,
            time=message.time,
            id=message.id,
            other=message.annuls,
            service=None,
            tariff_version=None,
        )
    statement = message.signed.statement
    return Wanted(
        terminal_id=terminal_id,
        card_id=message.card_id,
        certificate_sha256=message.signed.certificate_sha256,
        time=message.time,
        id=message.id,
        other=message.replaces,
        service=statement.service,
        # An advice is decided by the tariff that the terminal had.
        tariff_version=statement.tariff_version if message.is_advice else None,
    )
