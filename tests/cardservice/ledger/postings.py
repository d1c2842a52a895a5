"""Postings as tests want them: what is not said is of no account."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import insert

from cardservice.cardholders.models import cardholder
from cardservice.database import Database
from cardservice.ids import CardholderId, KeyId, PayerId, ProviderId, TerminalId, TransactionId, new_id
from cardservice.ledger.payers import assign_payer
from cardservice.ledger.reading import read
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    AccountName,
    KnownTransaction,
    NewDetails,
    NewProof,
    NewTransaction,
    NewTransfer,
    PayerView,
    Posting,
    ReadQuery,
    provider_payable,
    scheme_clearing,
)

CURRENCY = "GBP"
MOMENT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
BUSES = ProviderId("buses")
PAYABLE = provider_payable(BUSES)
CASH = scheme_clearing("cash")
SOMEBODY = CardholderId(new_id())
SOMEBODYS_KEY = KeyId(new_id())


def new_transaction_id() -> TransactionId:
    """An id as a terminal makes it."""
    return TransactionId(new_id())


def transfer(debit: AccountName, credit: AccountName, amount_minor: int, **more: Any) -> NewTransfer:
    """A transfer in pence."""
    return NewTransfer(debit, credit, amount_minor, **{"unit": CURRENCY, **more})


def transaction(**said: Any) -> NewTransaction:
    """A card's approved request."""
    values: dict[str, Any] = {
        "id": new_transaction_id(),
        "origin": "card",
        "kind": "request",
        "decision": "approved",
        "reason": "approved",
        "unit": CURRENCY,
        "body": sha256(b"request").digest(),
        "occurred_at": MOMENT,
        "posted_at": MOMENT,
        "terminal_id": TerminalId("validator-1"),
        "sequence": 1,
        "provider_id": BUSES,
        "service": "transport",
        "action": "single-fare",
    }
    return NewTransaction(**values | said)


def sale(payer_id: PayerId, version: int, amount_minor: int, **said: Any) -> Posting:
    """A card pays a fare from `prepaid`; 0 is a free one, without a transfer."""
    new = transaction(amount_minor=amount_minor, **said)
    return Posting(
        payer_id=payer_id,
        expected_version=version,
        transaction=new,
        transfers=(transfer(PAYER_PREPAID, PAYABLE, amount_minor),) if amount_minor else (),
        proof=NewProof(SOMEBODYS_KEY, b"nonce", b"ciphertext"),
        details=NewDetails("travel", {"from": "A"}, b"salt", {"decision": new.decision}),
    )


def advice(payer_id: PayerId, version: int, prepaid: int, arrears: int, **said: Any) -> Posting:
    """What was given away offline, paid from `prepaid` and the rest from `arrears`."""
    posting = sale(payer_id, version, prepaid, kind="advice", offline=True, **said)
    owed = (transfer(PAYER_ARREARS, PAYABLE, arrears),) if arrears else ()
    return replace(posting, transfers=(*posting.transfers, *owed))


def topup(payer_id: PayerId, version: int, amount_minor: int) -> Posting:
    """Cash paid in."""
    new = transaction(origin="payment", kind="topup", service=None, action=None, terminal_id=None)
    return Posting(payer_id, version, new, (transfer(CASH, PAYER_PREPAID, amount_minor),))


def make_holder(database: Database, payer_id: PayerId, moment: datetime = MOMENT) -> CardholderId:
    """A cardholder for whom this payer pays from `moment` on."""
    holder_id = CardholderId(new_id())
    with database.begin() as connection:
        connection.execute(insert(cardholder).values(id=holder_id, category="adult", created_at=moment))
        assign_payer(connection, holder_id, payer_id, moment, moment)
    return holder_id


def view_of(database: Database, payer_id: PayerId) -> PayerView:
    """The payer's state as of now."""
    return read(database, [ReadQuery((payer_id,))])[0].views[payer_id]


def balances_of(database: Database, payer_id: PayerId) -> dict[AccountName, int]:
    """The payer's balances as of now, by account."""
    return {account.name: account.balance for account in view_of(database, payer_id).accounts}


def known_of(database: Database, wanted: TransactionId, *payer_ids: PayerId) -> KnownTransaction | None:
    """What is known of the id under these payers."""
    return read(database, [ReadQuery(payer_ids, (wanted,))])[0].known.get(wanted)
