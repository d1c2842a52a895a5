"""Payments that a holder makes at this terminal, through the card service's payment provider."""

from dataclasses import dataclass
from uuid import UUID

from reader_agent.errors import ServiceAnswerInvalid
from reader_agent.wire import Document

# Ours: an address that a browser opens
MAX_URL = 2048


@dataclass(frozen=True, slots=True, repr=False)
class PayIn:
    """How a payment is, as the service says; `next_url` lets whoever has it pay, and is written nowhere."""

    payment: UUID
    # The service's word for it; only `success` is money.
    state: str
    is_finished: bool
    amount_minor: int
    currency: str
    next_url: str | None
    # What there is to spend, and what is owed, once it is captured
    available_minor: int | None
    owed_minor: int | None


def read_pay_in(document: Document) -> PayIn:
    """A payment. Raises ServiceAnswerInvalid."""
    next_url = None if document.is_null("next_url") else document.label("next_url", MAX_URL)
    if next_url is not None and not next_url.startswith(("https://", "http://")):
        raise ServiceAnswerInvalid("payment.next_url is no address")
    return PayIn(
        payment=document.identifier("payment"),
        state=document.key("state"),
        is_finished=document.boolean("finished"),
        amount_minor=document.amount("amount_minor"),
        currency=document.currency("currency"),
        next_url=next_url,
        available_minor=document.optional_integer("available_minor"),
        owed_minor=document.optional_integer("owed_minor"),
    )
