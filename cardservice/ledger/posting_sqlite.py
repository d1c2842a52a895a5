"""The steps of `post_transactions` on SQLite, where one writer at a time holds the whole database.

The caller's transaction began IMMEDIATE: nobody else writes until it ends, and what is read is the newest.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.models import (
    account,
    counter,
    ledger_transaction,
    payer_state,
    transaction_details,
    transaction_proof,
    transfer,
)
from cardservice.ledger.reading import read_accounts
from cardservice.ledger.values import (
    AccountName,
    Outcome,
    Posting,
    PostingResult,
    account_key,
    is_payers,
)


def post(connection: Connection, postings: Sequence[Posting]) -> list[PostingResult]:
    """What became of each posting, in their order."""
    versions = _versions(connection, postings)
    results: list[PostingResult | None] = []
    for posting in postings:
        outcome = (
            check_known(connection, posting)
            or check_version(versions, posting)
            or check_floor(connection, posting)
        )
        results.append(PostingResult(outcome) if outcome else None)
    posted = [posting for posting, result in zip(postings, results, strict=True) if result is None]
    _store(connection, posted)
    return [
        result or PostingResult(Outcome.POSTED, versions[posting.payer_id] + 1)
        for posting, result in zip(postings, results, strict=True)
    ]


def check_known(connection: Connection, posting: Posting) -> Outcome | None:
    """KNOWN if the id was taken under any payer that the card has had."""
    stored = ledger_transaction.c
    taken = select(stored.id).where(
        stored.payer_id.in_(_payers(posting)), stored.id == posting.transaction.id
    )
    return Outcome.KNOWN if connection.execute(taken).first() else None


def check_version(versions: Mapping[PayerId, int], posting: Posting) -> Outcome | None:
    """VERSION_CHANGED if any of the payers is not as it was when this was decided."""
    expected = {posting.payer_id: posting.expected_version, **dict(posting.also_under)}
    changed = any(versions[payer] != version for payer, version in expected.items())
    return Outcome.VERSION_CHANGED if changed else None


def check_floor(connection: Connection, posting: Posting) -> Outcome | None:
    """BELOW_FLOOR if an account would end below its floor."""
    accounts = {
        view.name: view for view in read_accounts(connection, [posting.payer_id]).get(posting.payer_id, ())
    }
    for (name, unit), gain in _gains(posting).items():
        found = accounts.get(name)
        if found is None or found.unit != unit:
            raise PostingRefused(f"{name} in {unit} is no account of its payer")
        if found.floor is not None and found.balance + gain < found.floor:
            return Outcome.BELOW_FLOOR
    return None


def _versions(connection: Connection, postings: Sequence[Posting]) -> dict[PayerId, int]:
    payers = {payer for posting in postings for payer in _payers(posting)}
    rows = connection.execute(select(payer_state).where(payer_state.c.payer_id.in_(payers))).all()
    if len(rows) < len(payers):
        raise PostingRefused("a payer has no state")
    return {PayerId(row.payer_id): row.version for row in rows}


def _payers(posting: Posting) -> tuple[PayerId, ...]:
    return (posting.payer_id, *(payer for payer, _ in posting.also_under))


def _gains(posting: Posting) -> Counter[tuple[AccountName, str]]:
    gains: Counter[tuple[AccountName, str]] = Counter()
    for line in posting.transfers:
        gains[line.credit, line.unit] += line.amount_minor
        gains[line.debit, line.unit] -= line.amount_minor
    return Counter({key: gain for key, gain in gains.items() if is_payers(key[0])})


def _store(connection: Connection, postings: Sequence[Posting]) -> None:
    _insert(connection, transaction_proof, [_proof(posting) for posting in postings if posting.proof])
    _insert(connection, ledger_transaction, [_transaction(posting) for posting in postings])
    _insert(
        connection, ledger_transaction, [_tombstone(posting) for posting in postings if posting.tombstone]
    )
    _insert(connection, transfer, [row for posting in postings for row in _transfers(posting)])
    _insert(connection, transaction_details, [_details(posting) for posting in postings if posting.details])
    for posting in postings:
        _add_to_accounts(connection, posting)
        _add_to_counters(connection, posting)
        state = update(payer_state).where(payer_state.c.payer_id == posting.payer_id)
        connection.execute(state.values(version=payer_state.c.version + 1))


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _key(posting: Posting) -> dict[str, Any]:
    return {"payer_id": posting.payer_id, "transaction_id": posting.transaction.id}


def _columns(value: Any) -> dict[str, Any]:
    """The fields of a value, which are called as its table's columns are."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _proof(posting: Posting) -> dict[str, Any]:
    return _key(posting) | _columns(posting.proof)


def _details(posting: Posting) -> dict[str, Any]:
    return _key(posting) | _columns(posting.details)


def _transaction(posting: Posting) -> dict[str, Any]:
    new = posting.transaction
    return _columns(new) | {
        "payer_id": posting.payer_id,
        "flags": list(new.flags),
        "proof_of": new.id if posting.proof else None,
    }


def _tombstone(posting: Posting) -> dict[str, Any]:
    # An id annulled before its request was seen: the request, when it comes, finds it taken.
    new = posting.transaction
    return {
        "payer_id": posting.payer_id,
        "id": posting.tombstone,
        "origin": "system",
        "kind": "tombstone",
        "terminal_id": new.terminal_id,
        "provider_id": new.provider_id,
        "service": new.service,
        "action": new.action,
        "decision": "annulled",
        "reason": "annulled",
        "unit": new.unit,
        "offline": False,
        "flags": [],
        "occurred_at": new.occurred_at,
        "posted_at": new.posted_at,
    }


def _transfers(posting: Posting) -> list[dict[str, Any]]:
    return [_key(posting) | {"line": line} | _columns(new) for line, new in enumerate(posting.transfers, 1)]


def _add_to_accounts(connection: Connection, posting: Posting) -> None:
    stored = account.c
    for (name, _), gain in _gains(posting).items():
        kind, card_id, application = account_key(name)
        row = update(account).where(
            stored.payer_id == posting.payer_id,
            stored.kind == kind,
            stored.card_id == card_id,
            stored.application == application,
        )
        connection.execute(row.values(balance=stored.balance + gain))


def _add_to_counters(connection: Connection, posting: Posting) -> None:
    changes: Counter[tuple[CardholderId, str, str]] = Counter()
    for new in posting.counters:
        changes[new.cardholder_id, new.rule, new.period] += new.change
    stored = counter.c
    for (cardholder_id, rule, period), change in changes.items():
        row = update(counter).where(
            stored.payer_id == posting.payer_id,
            stored.cardholder_id == cardholder_id,
            stored.rule == rule,
            stored.period == period,
        )
        if connection.execute(row.values(used=stored.used + change)).rowcount == 0:
            connection.execute(
                insert(counter).values(
                    payer_id=posting.payer_id,
                    cardholder_id=cardholder_id,
                    rule=rule,
                    period=period,
                    used=change,
                )
            )
