"""What a verification finds."""

from dataclasses import dataclass

from cardservice.ids import PayerId, TransactionId


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as the program leaves it; `code` is stable. Not every one is some payer's."""

    code: str
    payer_id: PayerId | None
    transaction_id: TransactionId | None
    detail: str
