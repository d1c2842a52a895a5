"""New entries of the outbox: the statement that a card will sign, and the annulment of a request."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils

from pki.statements import (
    DETAILS_SALT_BYTES,
    AnnulNotice,
    StatementKind,
    TransactionStatement,
    details_hmac,
    open_statement,
)
from reader_agent.agent import Agent
from reader_agent.outbox_entries import Draft, Entry, EntryKind
from reader_agent.service_client import Price, encode
from reader_agent.tapping.card import PresentCard
from reader_agent.tapping.values import TapOrder
from reader_agent.wire import from_base64url, to_base64url, to_rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction that is stored, and that the card has not signed yet."""

    entry: Entry
    scheme: str
    # The statement's bytes, which are stored, and which the card signs
    payload: bytes
    details: Mapping[str, object]
    details_salt: bytes

    def message(self, signed: bytes) -> bytes:
        """The HTTP body that tells the service: stored as it is, and sent as it is, however often."""
        return encode(
            {
                "statement": to_base64url(signed),
                "details": dict(self.details),
                "details_salt": to_base64url(self.details_salt),
            }
        )


def prepare(
    agent: Agent,
    card: PresentCard,
    order: TapOrder,
    price: Price,
    *,
    nonce: bytes | None,
    replaces: UUID | None = None,
) -> Prepared:
    """Store a transaction: a request if there is a nonce to ask with, else an offline advice."""
    moment, salt, scheme = agent.now(), os.urandom(DETAILS_SALT_BYTES), agent.stored_trust().scheme
    # The caller's id is for what is tried first; what replaces it is another transaction.
    transaction = new_id(moment) if order.id is None or replaces is not None else order.id

    def statement(sequence: int) -> TransactionStatement:
        return TransactionStatement(
            scheme=scheme,
            id=transaction,
            terminal=agent.terminal,
            sequence=sequence,
            card=card.card,
            kind=StatementKind.ADVICE if nonce is None else StatementKind.REQUEST,
            service=order.service,
            action=order.action,
            amount_minor=price.amount_minor,
            currency=price.currency,
            tariff_version=price.tariff_version,
            offline=nonce is None,
            details_hmac=details_hmac(salt, order.details),
            time=moment,
            nonce=nonce,
            replaces=replaces,
        )

    kind = EntryKind.ADVICE if nonce is None else EntryKind.REQUEST
    entry, payload = _store(agent, statement, kind, moment)
    return Prepared(entry, scheme, payload, order.details, salt)


def close_request(agent: Agent, request: UUID) -> Entry:
    """Store the annulment of an unanswered request, and the request as closed, in one step.

    Raises OutboxDamaged where the request cannot be read, OutboxConflict where it is not open.
    """
    moment = agent.now()
    card = card_of(agent, request)

    def annulment(sequence: int) -> Draft:
        notice = AnnulNotice(
            scheme=agent.stored_trust().scheme,
            id=new_id(moment),
            terminal=agent.terminal,
            sequence=sequence,
            card=card,
            annuls=request,
            time=moment,
        )
        body = {
            "id": str(notice.id),
            "sequence": sequence,
            "card": str(card),
            "annuls": str(request),
            "time": to_rfc3339(notice.time),
        }
        return Draft(notice.id, EntryKind.ANNUL, notice.body, encode({"annul": body}), request)

    return agent.outbox.close_request(request, annulment, moment)


def card_of(agent: Agent, request: UUID) -> UUID:
    """The card of a stored request or advice that was signed."""
    message = json.loads(agent.outbox.content(request).message)
    return open_statement(from_base64url(message["statement"])).statement.card


def new_id(moment: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562, 5.7) for this moment."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return UUID(bytes=uuid_utils.uuid7(nanoseconds=microseconds * 1000).bytes)


def _store(
    agent: Agent, statement: Callable[[int], TransactionStatement], kind: EntryKind, moment: datetime
) -> tuple[Entry, bytes]:
    """The entry, and the statement's bytes."""
    payload = b""

    def draft(sequence: int) -> Draft:
        nonlocal payload
        made = statement(sequence)
        payload = made.payload()
        return Draft(made.id, kind, hashlib.sha256(payload).digest(), payload, made.replaces)

    return agent.outbox.prepare(draft, moment), payload
