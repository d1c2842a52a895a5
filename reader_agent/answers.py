"""The service's answers, verified: what is not signed by the service for this very message is no answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pki.errors import PkiError
from pki.statements import Answer, open_answer, signer_sha256
from reader_agent.errors import ServiceAnswerInvalid
from reader_agent.trust import SchemeTrust
from reader_agent.wire import Document

APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """A line of a price or receipt."""

    label: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Balance:
    """One of the payer's accounts as of the posting."""

    account: str
    unit: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """A verified answer. Decision, reason and time are what the service has signed."""

    id: UUID
    decision: str
    reason: str
    # In UTC: when the service posted the message, also where the answer is a repeated one
    time: datetime
    message: str
    amount_minor: int | None
    currency: str
    receipt: tuple[ReceiptLine, ...]
    balances: tuple[Balance, ...]
    flags: tuple[str, ...]
    proof: str
    repeated: bool
    nonce: bytes
    # As it came: kept in the outbox, so that the signed answer can be shown later
    document: Mapping[str, Any]


def read_answer(
    document: Mapping[str, Any], transaction: UUID, digest: bytes, trust: SchemeTrust, moment: datetime
) -> ServiceAnswer:
    """The answer to the message of this id and body digest. Raises ServiceAnswerInvalid."""
    answer = Document(document, "answer")
    raw = answer.octets("signed_answer")
    try:
        key = trust.answer_key(signer_sha256(raw), moment)
        signed = open_answer(raw, key, trust.scheme)
    except PkiError as error:
        raise ServiceAnswerInvalid(str(error)) from error
    if (signed.id, signed.body) != (transaction, digest):
        raise ServiceAnswerInvalid("it was signed for another message")
    said = (answer.identifier("id"), answer.text("decision"), answer.text("reason"))
    if said != (signed.id, signed.decision, signed.reason):
        raise ServiceAnswerInvalid("it says something else than what is signed")
    return answer_of(answer, signed, answer.octets("nonce"))


def answer_of(answer: Document, signed: Answer, nonce: bytes) -> ServiceAnswer:
    """An answer as a value; `signed` is what of it the service has signed. Raises ServiceAnswerInvalid."""
    return ServiceAnswer(
        id=signed.id,
        decision=signed.decision,
        reason=signed.reason,
        time=signed.time,
        message=answer.text("message"),
        amount_minor=answer.optional_integer("amount_minor"),
        currency=answer.text("currency"),
        receipt=tuple(read_line(line) for line in answer.documents("receipt")),
        balances=tuple(
            Balance(item.text("account"), item.text("unit"), item.integer("amount_minor"))
            for item in answer.documents("balances")
        ),
        flags=answer.texts("flags"),
        proof=answer.text("proof"),
        repeated=answer.boolean("repeated"),
        nonce=nonce,
        document=answer.value,
    )


def read_line(line: Document) -> ReceiptLine:
    """A line of a receipt or price."""
    return ReceiptLine(line.text("label"), line.integer("amount_minor"))
