"""What `reading.sql` reads, in SQLAlchemy's statements: for SQLite, where a transaction sees one moment."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from cardservice.authorisation.found import CrlInForce, Found, Wanted
from cardservice.authorisation.proofs import find_certificate
from cardservice.cards.service import AUTHORITY, Card, find_card
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.payers import payer_at, payers_of
from cardservice.ledger.privacy import StoredKey, find_key
from cardservice.ledger.reading import read_payers
from cardservice.pki_store.models import crl
from cardservice.tariffs.service import TariffVersion, tariff_in_force, tariff_of_version
from cardservice.terminals.service import find_terminal


def read(connection: Connection, wanted: Sequence[Wanted]) -> list[Found]:
    """One result for each message, in their order."""
    return [_found(connection, one) for one in wanted]


def _found(connection: Connection, wanted: Wanted) -> Found:
    terminal = None if wanted.terminal_id is None else find_terminal(connection, wanted.terminal_id)
    card = find_card(connection, wanted.card_id)
    payers = () if card is None else payers_of(connection, card.cardholder_id)
    views = read_payers(connection, payers)
    taken = select(ledger_transaction.c.id).where(
        ledger_transaction.c.payer_id.in_(payers), ledger_transaction.c.id.in_(wanted.ids)
    )
    proof = find_certificate(connection, wanted.card_id, wanted.certificate_sha256)
    return Found(
        terminal=terminal,
        card=card,
        certificate=proof,
        key=_key(connection, card),
        tariff=_tariff(connection, wanted),
        payer_id=None if card is None else payer_at(connection, card.cardholder_id, wanted.time),
        views={payer: views[payer] for payer in payers},
        known=frozenset(connection.execute(taken).scalars()),
        crl=None if proof is None else newest_crl(connection, proof.issuer),
    )


def _key(connection: Connection, card: Card | None) -> StoredKey | None:
    return None if card is None else find_key(connection, card.cardholder_id)


def _tariff(connection: Connection, wanted: Wanted) -> TariffVersion | None:
    if wanted.service is None:
        return None
    if wanted.tariff_version is not None:
        named = tariff_of_version(connection, wanted.service, wanted.tariff_version)
        if named is not None:
            return named
    return tariff_in_force(connection, wanted.service, wanted.time)


def newest_crl(connection: Connection, issuer: str) -> CrlInForce | None:
    """The newest complete revocation list of one of the authority's keys."""
    row = connection.execute(
        select(crl.c.sha256, crl.c.this_update)
        .where(crl.c.authority == AUTHORITY, crl.c.issuer == issuer)
        .where(crl.c.shard.is_(None), crl.c.base_number.is_(None))
        .order_by(crl.c.number.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else CrlInForce(row.sha256, row.this_update)
