"""What a terminal sends to be authorised: a statement that a card signed, or the annulment of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cardservice.authorisation.errors import AmountNegative, AmountTooLarge
from cardservice.errors import DetailsMismatch, SchemeMismatch, StatementMalformed, TerminalMismatch
from cardservice.ids import CardId, TerminalId, TransactionId
from pki.errors import PkiError
from pki.statements import (
    AnnulNotice,
    SignedStatement,
    StatementKind,
    details_hmac,
    encoded_details_hmac,
    open_statement,
)
from pki.statements import errors as pki


@dataclass(frozen=True, slots=True)
class CardMessage:
    """A card's signed statement with the details that it commits to."""

    signed: SignedStatement
    details: Mapping[str, object]
    details_salt: bytes
    # Their deterministic CBOR, where they came in it.
    details_cbor: bytes | None = None

    @property
    def id(self) -> TransactionId:
        """The transaction's id, drawn by the terminal."""
        return TransactionId(self.signed.statement.id)

    @property
    def body(self) -> bytes:
        """SHA-256 of the signed payload: what makes two messages the same."""
        return self.signed.body

    @property
    def card_id(self) -> CardId:
        """The card that the statement names."""
        return CardId(self.signed.statement.card)

    @property
    def is_advice(self) -> bool:
        """Whether the goods are gone already."""
        return self.signed.statement.kind is StatementKind.ADVICE

    @property
    def time(self) -> datetime:
        """The signed time."""
        return self.signed.statement.time

    @property
    def replaces(self) -> TransactionId | None:
        """The unanswered request that this one stands for."""
        replaced = self.signed.statement.replaces
        return None if replaced is None else TransactionId(replaced)


@dataclass(frozen=True, slots=True)
class AnnulMessage:
    """A terminal's reversal advice: the request that it names is not to be charged."""

    notice: AnnulNotice

    @property
    def id(self) -> TransactionId:
        """The annulment's own id."""
        return TransactionId(self.notice.id)

    @property
    def body(self) -> bytes:
        """SHA-256 of the notice."""
        return self.notice.body

    @property
    def card_id(self) -> CardId:
        """The card of the request."""
        return CardId(self.notice.card)

    @property
    def annuls(self) -> TransactionId:
        """The request that is annulled."""
        return TransactionId(self.notice.annuls)

    @property
    def time(self) -> datetime:
        """The terminal's time."""
        return self.notice.time


Message = CardMessage | AnnulMessage


def read_statement(
    raw: bytes, details: Mapping[str, object], details_salt: bytes, details_cbor: bytes | None = None
) -> CardMessage:
    """The first check: syntax. Raises StatementMalformed, AmountNegative and AmountTooLarge among it."""
    try:
        return CardMessage(open_statement(raw), details, details_salt, details_cbor)
    except pki.AmountNegative as error:
        raise AmountNegative(str(error)) from error
    except pki.AmountTooLarge as error:
        raise AmountTooLarge(str(error)) from error
    except PkiError as error:
        raise StatementMalformed(str(error)) from error


def annul_notice(scheme_id: str, terminal: TerminalId, fields: Mapping[str, Any]) -> AnnulMessage:
    """The annulment that a terminal asks for, by its request signature. Raises StatementMalformed."""
    try:
        return AnnulMessage(AnnulNotice(scheme=scheme_id, terminal=terminal, **fields))
    except PkiError as error:
        raise StatementMalformed(str(error)) from error


def check_addressed(message: CardMessage, scheme_id: str, terminal: TerminalId) -> None:
    """Whether the statement was made in this scheme and at this terminal.

    Raises SchemeMismatch and TerminalMismatch.
    """
    statement = message.signed.statement
    if statement.scheme != scheme_id:
        raise SchemeMismatch("the statement was made for another scheme than this one")
    if statement.terminal != terminal:
        raise TerminalMismatch("the statement names another terminal than the one that sent it")


def check_details(message: CardMessage) -> None:
    """Whether the details are those that the card signed the HMAC of. Raises DetailsMismatch."""
    try:
        if message.details_cbor is not None:
            digest = encoded_details_hmac(message.details_salt, message.details_cbor)
        else:
            digest = details_hmac(message.details_salt, message.details)
    except PkiError as error:
        raise DetailsMismatch(f"the details cannot be those that were signed: {error}") from error
    if digest != message.signed.statement.details_hmac:
        raise DetailsMismatch("the details' HMAC is not the signed one")
