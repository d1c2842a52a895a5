"""What a chunk is decided on: read once for each card and payer, all of it as of one moment.

What `reading_core` reads for a message, over sets. A payer's version is as old as what it stands for:
whatever changes afterwards is noticed when the chunk is posted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, select, text, tuple_

from cardservice.authorisation.found import CrlInForce, Found
from cardservice.authorisation.messages import CardMessage
from cardservice.authorisation.proofs import CardCertificate, certificates_of, find_certificate
from cardservice.authorisation.reading_core import newest_crl
from cardservice.cards.service import Card, find_cards
from cardservice.context import Context
from cardservice.ids import CardholderId, CardId, PayerId, TransactionId
from cardservice.ledger.closing.rounds import on_cluster
from cardservice.ledger.errors import LedgerError
from cardservice.ledger.models import cardholder_payer, ledger_transaction
from cardservice.ledger.privacy import StoredKey, find_keys, unwrap
from cardservice.ledger.reading import read_payers
from cardservice.ledger.values import PayerView
from cardservice.tariffs.service import DatedTariff, TariffVersion, tariffs_of

T = TypeVar("T")

# Far fewer than a statement may have parameters.
KEYS_AT_ONCE = 500
_KNOWN = text(
    "SELECT t.payer_id, t.id FROM unnest(CAST(:payers AS uuid[]), CAST(:ids AS uuid[])) AS k (payer, id)"
    " JOIN ledger_transaction AS t ON t.payer_id = k.payer AND t.id = k.id"
)
# A cluster asks those shards alone that have one of them.
_KNOWN_AT_NODES = text(f"{_KNOWN.text} WHERE t.payer_id = ANY (CAST(:payers AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Payers:
    """Who has paid for a cardholder, and from when on, the earliest first."""

    history: tuple[tuple[datetime, PayerId], ...]
    # Everybody who does, did or will, the first first.
    all: tuple[PayerId, ...]

    def at(self, moment: datetime) -> PayerId | None:
        """Who pays at `moment`; a moment before the first counts as the first's."""
        if not self.history:
            return None
        found = self.history[0][1]
        for since, payer in self.history:
            if since > moment:
                break
            found = payer
        return found


_NOBODY = Payers((), ())


@dataclass(frozen=True, slots=True)
class ChunkFacts:
    """All that the messages of a chunk are decided on."""

    cards: Mapping[CardId, Card]
    # By thumbprint; of a statement that names none, by its card.
    certificates: Mapping[bytes, CardCertificate]
    keys: Mapping[CardholderId, StoredKey]
    payers: Mapping[CardholderId, Payers]
    # As read; what has been decided since stands in the views that the chunk keeps.
    views: Mapping[PayerId, PayerView]
    # Ids of the chunk that are taken under a payer that their card has had.
    known: frozenset[UUID]
    tariffs: Mapping[str, Sequence[DatedTariff]]
    crls: Mapping[str, CrlInForce]

    def payers_for(self, message: CardMessage) -> Payers:
        """The payers of the message's card."""
        card = self.cards.get(message.card_id)
        return _NOBODY if card is None else self.payers.get(card.cardholder_id, _NOBODY)

    def certificate_for(self, message: CardMessage) -> CardCertificate | None:
        """The certificate that the message's statement names, else the newest of its card."""
        return self.certificates.get(_certificate_key(message))

    def tariff_for(self, message: CardMessage) -> TariffVersion | None:
        """The tariff that an advice names, else the one on record at its moment that was in force then."""
        statement = message.signed.statement
        dated = self.tariffs.get(statement.service, ())
        for one in dated:
            if one.version.version == statement.tariff_version:
                return one.version
        in_force = [one for one in dated if one.version.valid_from <= statement.time]
        as_known = [one for one in in_force if one.recorded_at <= statement.time]
        return (as_known or in_force)[-1].version if in_force else None

    def found_for(self, message: CardMessage, views: Mapping[PayerId, PayerView]) -> Found:
        """What one message is decided on, with the payers' states as those before it leave them."""
        card, payers = self.cards.get(message.card_id), self.payers_for(message)
        certificate = self.certificate_for(message)
        return Found(
            terminal=None,
            card=card,
            certificate=certificate,
            key=None if card is None else self.keys.get(card.cardholder_id),
            tariff=None,
            payer_id=payers.at(message.time),
            views={payer: views[payer] for payer in payers.all if payer in views},
            known=frozenset(),
            crl=None if certificate is None else self.crls.get(certificate.issuer),
        )


def read_facts(context: Context, messages: Sequence[CardMessage]) -> ChunkFacts:
    """What these messages are decided on."""
    with context.database.reading() as connection:
        wanted = {message.card_id for message in messages}
        cards = {card.id: card for some in groups(sorted(wanted)) for card in find_cards(connection, some)}
        holders = sorted({card.cardholder_id for card in cards.values()})
        payers = _payers(connection, holders)
        views: dict[PayerId, PayerView] = {}
        for some in groups(sorted({payer for each in payers.values() for payer in each.all})):
            views |= read_payers(connection, some)
        certificates = _certificates(connection, messages)
        pairs = [
            (payer, message.id)
            for message in messages
            if (card := cards.get(message.card_id)) is not None and card.cardholder_id in payers
            for payer in payers[card.cardholder_id].all
        ]
        return ChunkFacts(
            cards=cards,
            certificates=certificates,
            keys={
                holder: _opened(context, key)
                for some in groups(holders)
                for holder, key in find_keys(connection, some).items()
            },
            payers=payers,
            views=views,
            known=_known(connection, pairs),
            tariffs={
                service: tariffs_of(connection, service)
                for service in {message.signed.statement.service for message in messages}
            },
            crls={
                issuer: crl
                for issuer in {each.issuer for each in certificates.values()}
                if (crl := newest_crl(connection, issuer)) is not None
            },
        )


def _opened(context: Context, key: StoredKey) -> StoredKey:
    """The key, unwrapped once for all advices of its holder; as it is where it cannot be."""
    try:
        return replace(key, opened=unwrap(context.keys.cardholder_kek, key))
    except LedgerError:
        return key  # each of its advices is told why


def groups(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """The keys, as many at a time as a statement takes."""
    return (keys[first : first + KEYS_AT_ONCE] for first in range(0, len(keys), KEYS_AT_ONCE))


def _payers(connection: Connection, holders: Sequence[CardholderId]) -> dict[CardholderId, Payers]:
    found: defaultdict[CardholderId, list[tuple[datetime, PayerId]]] = defaultdict(list)
    stored = cardholder_payer.c
    for some in groups(holders):
        rows = connection.execute(
            select(stored.cardholder_id, stored.valid_from, stored.payer_id)
            .where(stored.cardholder_id.in_(some))
            .order_by(stored.cardholder_id, stored.valid_from)
        )
        for holder, since, payer in rows:
            found[CardholderId(holder)].append((since, PayerId(payer)))
    return {
        holder: Payers(tuple(history), tuple(dict.fromkeys(payer for _, payer in history)))
        for holder, history in found.items()
    }


def _certificates(connection: Connection, messages: Iterable[CardMessage]) -> dict[bytes, CardCertificate]:
    named: set[bytes] = set()
    unnamed: set[UUID] = set()
    for message in messages:
        thumbprint = message.signed.certificate_sha256
        if thumbprint is None:
            unnamed.add(message.card_id)
        else:
            named.add(thumbprint)
    found = {
        each.sha256: each for some in groups(sorted(named)) for each in certificates_of(connection, some)
    }
    for card in unnamed:
        newest = find_certificate(connection, card, None)
        if newest is not None:
            found[card.bytes] = newest
    return found


def _certificate_key(message: CardMessage) -> bytes:
    return message.signed.certificate_sha256 or message.card_id.bytes


def _known(connection: Connection, pairs: Sequence[tuple[PayerId, TransactionId]]) -> frozenset[UUID]:
    """The ids that are taken, each looked up under its card's payers by the key."""
    if not pairs:
        return frozenset()
    if connection.dialect.name == "postgresql":
        payers, ids = zip(*pairs, strict=True)
        known = _KNOWN_AT_NODES if on_cluster(connection) else _KNOWN
        rows = connection.execute(known, {"payers": list(payers), "ids": list(ids)})
        return frozenset(row.id for row in rows)
    stored = ledger_transaction.c
    return frozenset(
        found
        for some in groups(pairs)
        for found in connection.execute(
            select(stored.id).where(tuple_(stored.payer_id, stored.id).in_(some))
        ).scalars()
    )
