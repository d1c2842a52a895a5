"""An outbox told by the chunk: its entries as the service takes them, and what it answered to each.

A chunk is a CBOR sequence (RFC 8742) of byte strings, one an entry; the service's page on its interface has
the form. The same bytes in a file are what staff deliver for a terminal that will not come back.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pki.errors import PkiError
from pki.statements import (
    Answer,
    answers_digest,
    deterministic,
    open_many_answers,
    open_statement,
    signer_sha256,
)
from reader_agent.answers import ServiceAnswer, answer_of
from reader_agent.errors import OutboxDamaged, ServiceAnswerInvalid, ServiceProblem
from reader_agent.outbox import Outbox
from reader_agent.outbox_entries import Entry
from reader_agent.trust import SchemeTrust
from reader_agent.wire import Document, from_base64url, from_rfc3339

MAX_ENTRY_BYTES = 65_536
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Told = ServiceAnswer | ServiceProblem


def entry_of(message: bytes) -> bytes:
    """A stored message, the body of a request of its own, as an entry. Raises ValueError."""
    try:
        return deterministic(_values(json.loads(message)), MAX_ENTRY_BYTES)
    except (KeyError, TypeError, AttributeError, PkiError) as error:
        raise ValueError("not a message of this agent") from error


def _values(body: Mapping[str, Any]) -> list[object]:
    annul = body.get("annul")
    if annul is not None:
        at_ms = (from_rfc3339(annul["time"]) - _EPOCH) // _MILLISECOND
        card, own, annuls = (UUID(annul[name]).bytes for name in ("card", "id", "annuls"))
        return [card, own, annul["sequence"], annuls, at_ms]
    raw = from_base64url(body["statement"])
    card = open_statement(raw).statement.card.bytes
    return [card, raw, body["details"], from_base64url(body["details_salt"])]


def join(entries: Iterable[bytes]) -> bytes:
    """The chunk of these entries."""
    return b"".join(deterministic(entry, MAX_ENTRY_BYTES + 8) for entry in entries)


def readable(outbox: Outbox, entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes | OutboxDamaged]]:
    """Each entry with its bytes in a chunk, or what is wrong with it."""
    for entry in entries:
        try:
            yield entry, entry_of(outbox.content(entry.id).message)
        except OutboxDamaged as error:
            yield entry, error
        except ValueError:
            yield entry, OutboxDamaged(entry.id)


def read_answers(
    document: Mapping[str, Any], asked: Sequence[Entry], terminal: str, trust: SchemeTrust, moment: datetime
) -> list[Told]:
    """What each entry of a chunk was answered, in their order.

    Raises ServiceAnswerInvalid unless the service has signed the answers for these very messages.
    """
    whole = Document(document, "answer")
    said = whole.documents("answers", len(asked))
    if len(said) != len(asked):
        raise ServiceAnswerInvalid("it does not answer each entry")
    nonce = whole.octets("nonce")
    told: list[Told] = []
    payloads = []
    for entry, one in zip(asked, said, strict=True):
        if one.is_null("answer"):
            told.append(_problem(one.document("problem")))
            continue
        answer = one.document("answer")
        signed = _signed(answer, entry, trust.scheme)
        payloads.append(signed.payload())
        told.append(answer_of(answer, signed, nonce))
    _check(whole.octets("signed_answers"), payloads, terminal, trust, moment)
    return told


def _signed(answer: Document, entry: Entry, scheme: str) -> Answer:
    """What the service must have signed for this to be its answer to this entry."""
    if answer.identifier("id") != entry.id:
        raise ServiceAnswerInvalid("it is about another message")
    try:
        return Answer(
            scheme=scheme,
            id=entry.id,
            body=entry.digest,
            decision=answer.text("decision"),
            reason=answer.text("reason"),
            time=answer.moment("answered_at"),
        )
    except PkiError as error:
        raise ServiceAnswerInvalid(str(error)) from error


def _check(
    raw: bytes, payloads: Sequence[bytes], terminal: str, trust: SchemeTrust, moment: datetime
) -> None:
    try:
        key = trust.answer_key(signer_sha256(raw), moment)
        signed = open_many_answers(raw, key, trust.scheme)
    except PkiError as error:
        raise ServiceAnswerInvalid(str(error)) from error
    expected = (terminal, len(payloads), answers_digest(payloads))
    if (signed.terminal, signed.count, signed.digest) != expected:
        raise ServiceAnswerInvalid("it says something else than what is signed")


def _problem(document: Document) -> ServiceProblem:
    return ServiceProblem(document.text("code"), document.integer("status"), document.text("detail"))
