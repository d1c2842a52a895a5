"""What goes into the ledger and what comes out of it, as values: rules see these and never a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NewType
from uuid import UUID

from cardservice.ids import CardholderId, KeyId, PayerId, ProviderId, TerminalId, TransactionId
from cardservice.ledger.errors import PostingInvalid

# An account as a transfer names it: `payer:prepaid`, `provider:buses:payable`, `scheme:clearing:cash`.
AccountName = NewType("AccountName", str)
AccountKind = Literal["prepaid", "arrears", "card_value", "points", "reserved"]
Origin = Literal["card", "staff", "payment", "rating", "system"]
Kind = Literal[
    "request",
    "advice",
    "annul",
    "tombstone",
    "refund",
    "goodwill",
    "rating",
    "topup",
    "repayment",
    "chargeback",
    "carry_over",
]
Decision = Literal["approved", "declined", "annulled", "duplicate"]

PAYER_PREPAID = AccountName("payer:prepaid")
PAYER_ARREARS = AccountName("payer:arrears")
PAYER_RESERVED = AccountName("payer:reserved")
SCHEME_IN_TRANSIT = AccountName("scheme:in_transit")
SCHEME_GOODWILL = AccountName("scheme:goodwill")
# What the accounts of funders begin with.
SUBSIDIES = "scheme:subsidy:"
# Of a request whose rules say that it may end in arrears: without it the tables let none do so. Kept in the
# ledger's row, not in the answer.
INTO_ARREARS = "into_arrears"
_PAYER = "payer:"


def payer_account(kind: AccountKind, card_id: str = "", application: str = "") -> AccountName:
    """The name of an account of the transaction's own payer; only `card_value` has a card and application."""
    if (kind == "card_value") != bool(card_id and application):
        raise PostingInvalid(f"{kind} with card {card_id!r} and application {application!r}")
    return AccountName(f"{_PAYER}{kind}/{card_id}/{application}" if card_id else f"{_PAYER}{kind}")


def provider_payable(provider: ProviderId) -> AccountName:
    """What the scheme owes this provider."""
    return AccountName(f"provider:{provider}:payable")


def provider_of(name: AccountName) -> ProviderId | None:
    """Whose account it is, where it is a provider's."""
    owner, _, rest = name.partition(":")
    return ProviderId(rest.rpartition(":")[0]) if owner == "provider" else None


def scheme_subsidy(funder: str, programme: str) -> AccountName:
    """What a funder owes the scheme for what a programme of its has paid towards sales."""
    return AccountName(f"{SUBSIDIES}{funder}:{programme}")


def scheme_clearing(method: str) -> AccountName:
    """What a payment method (cash, card, …) has brought in and the bank has not yet shown."""
    return AccountName(f"scheme:clearing:{method}")


def account_key(name: AccountName) -> tuple[str, str, str]:
    """Kind, card and application of one of the payer's accounts; the last two are "" but for `card_value`."""
    kind, card_id, application = (*name.removeprefix(_PAYER).split("/"), "", "")[:3]
    return kind, card_id, application


def is_payers(name: AccountName) -> bool:
    """Whether the account is one of the transaction's payer, with a balance that posting keeps."""
    return name.startswith(_PAYER)


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account of a payer as read or as posted; `floor` is None for arrears alone."""

    kind: AccountKind
    card_id: str
    application: str
    unit: str
    balance: int
    floor: int | None

    @property
    def name(self) -> AccountName:
        """As transfers name it."""
        return payer_account(self.kind, self.card_id, self.application)

    @property
    def available_minor(self) -> int:
        """What can be taken before the floor is reached; 0 for arrears, which nobody may draw on."""
        return 0 if self.floor is None else self.balance - self.floor


@dataclass(frozen=True, slots=True)
class CounterView:
    """How much of a rule's allowance a cardholder has used in a period."""

    cardholder_id: CardholderId
    rule: str
    period: str
    used: int


@dataclass(frozen=True, slots=True)
class LimitView:
    """A limit with its dates: a decision goes by what was known at the terminal when it was made."""

    cardholder_id: CardholderId | None
    rule: str
    amount_minor: int
    valid_from: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class PayerView:
    """All that a rule may look at, as of `version`; posting refuses it once the version has changed."""

    payer_id: PayerId
    version: int
    accounts: tuple[AccountView, ...]
    counters: tuple[CounterView, ...] = ()
    # In the order in which they were set.
    limits: tuple[LimitView, ...] = ()

    def account(self, name: AccountName) -> AccountView | None:
        """The account of this name, or None."""
        return next((account for account in self.accounts if account.name == name), None)

    @property
    def prepaid(self) -> AccountView:
        """The payer's money; every payer has this account."""
        return self._own(PAYER_PREPAID)

    @property
    def arrears(self) -> AccountView:
        """What the payer owes, at most 0; every payer has this account."""
        return self._own(PAYER_ARREARS)

    def _own(self, name: AccountName) -> AccountView:
        found = self.account(name)
        if found is None:
            raise PostingInvalid(f"payer {self.payer_id} has no account {name}")
        return found


@dataclass(frozen=True, slots=True)
class StoredTransfer:
    """A movement of money as it was posted, and how much of it has been reversed since."""

    line: int
    debit: AccountName
    credit: AccountName
    amount_minor: int
    unit: str
    reversed_minor: int
    tax_code: str | None = None
    tax_rate_bp: int | None = None
    net_minor: int | None = None
    tax_minor: int | None = None
    supplier: str | None = None
    reverses_transaction: TransactionId | None = None
    reverses_line: int | None = None


@dataclass(frozen=True, slots=True)
class KnownTransaction:
    """A transaction that took its id, and what has become of it since.

    `body` is None for a tombstone: an id annulled before its request was seen. `answer` is None where none
    was stored or where it has been erased. `annulled_by` is the annul that undid it; `kept_by` is the
    duplicate on whose account it stands, so that an annul of it reverses nothing.
    """

    payer_id: PayerId
    id: TransactionId
    origin: Origin
    kind: Kind
    body: bytes | None
    terminal_id: TerminalId | None
    sequence: int | None
    provider_id: ProviderId | None
    service: str | None
    action: str | None
    decision: Decision
    reason: str
    amount_minor: int | None
    unit: str
    tariff_version: str | None
    offline: bool
    flags: tuple[str, ...]
    replaces: TransactionId | None
    duplicate_of: TransactionId | None
    annuls: TransactionId | None
    occurred_at: datetime
    posted_at: datetime
    answer: Mapping[str, Any] | None
    transfers: tuple[StoredTransfer, ...]
    annulled_by: TransactionId | None
    kept_by: TransactionId | None

    @property
    def is_tombstone(self) -> bool:
        """Whether the id was annulled before its request was seen."""
        return self.kind == "tombstone"

    @property
    def stands(self) -> bool:
        """Whether it was approved and nothing has undone it."""
        return self.decision == "approved" and self.annulled_by is None

    @property
    def own_transfers(self) -> tuple[StoredTransfer, ...]:
        """Those that give back nothing of another transaction's: what can be given back itself."""
        return tuple(line for line in self.transfers if line.reverses_transaction is None)

    @property
    def moved_minor(self) -> int:
        """What its own transfers moved."""
        return sum(line.amount_minor for line in self.own_transfers)

    @property
    def reversed_minor(self) -> int:
        """How much of that has been given back."""
        return sum(line.reversed_minor for line in self.own_transfers)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransaction:
    """The ledger row. `body` is the SHA-256 of what was asked; times are cut to milliseconds when stored."""

    id: TransactionId
    origin: Origin
    kind: Kind
    decision: Decision
    reason: str
    unit: str
    body: bytes
    occurred_at: datetime
    posted_at: datetime
    terminal_id: TerminalId | None = None
    sequence: int | None = None
    provider_id: ProviderId | None = None
    service: str | None = None
    action: str | None = None
    amount_minor: int | None = None
    tariff_version: str | None = None
    offline: bool = False
    flags: tuple[str, ...] = ()
    replaces: TransactionId | None = None
    duplicate_of: TransactionId | None = None
    annuls: TransactionId | None = None


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """One movement from the debited to the credited account; a payer's balance rises by what it is credited.

    `net_minor` and `tax_minor` add up to the amount, where there is a tax; `tax_rate_bp` is in hundredths of
    a per cent.
    """

    debit: AccountName
    credit: AccountName
    amount_minor: int
    unit: str
    tax_code: str | None = None
    tax_rate_bp: int | None = None
    net_minor: int | None = None
    tax_minor: int | None = None
    supplier: str | None = None
    reverses_transaction: TransactionId | None = None
    reverses_line: int | None = None


@dataclass(frozen=True, slots=True)
class CounterChange:
    """`change` is added to what the cardholder has used under the rule in the period."""

    cardholder_id: CardholderId
    rule: str
    period: str
    change: int


@dataclass(frozen=True, slots=True)
class NewProof:
    """The card's proof, encrypted under the cardholder's key (`ledger.privacy.seal_proof`)."""

    key_id: KeyId
    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class NewDetails:
    """What is erased when the retention of its class ends, the stored answer among it."""

    retention_class: str
    details: Mapping[str, Any] | None
    salt: bytes | None
    answer: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Posting:
    """One transaction with all that is posted with it, or nothing of it.

    `expected_version` is that of the PayerView it was decided on. `also_under` names the other payers that
    the card has had, each with its version as read: they are locked, too, and searched for the id.
    `tombstone` is an id that was unknown when this was decided and is stored as annulled beside it.
    """

    payer_id: PayerId
    expected_version: int
    transaction: NewTransaction
    transfers: tuple[NewTransfer, ...] = ()
    counters: tuple[CounterChange, ...] = ()
    proof: NewProof | None = None
    details: NewDetails | None = None
    tombstone: TransactionId | None = None
    also_under: tuple[tuple[PayerId, int], ...] = ()


class Outcome(StrEnum):
    """What became of a posting. Only POSTED has changed anything."""

    POSTED = "posted"
    # The id was taken before; whether by the same body is for the caller to see.
    KNOWN = "known"
    # Something changed since the payer was read: read, decide and post again.
    VERSION_CHANGED = "version_changed"
    BELOW_FLOOR = "below_floor"
    # Another session held the payer for longer than one waits.
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class PostingResult:
    """What became of one posting: the payer's new version if posted, the stored transaction if known."""

    outcome: Outcome
    version: int | None = None
    known: KnownTransaction | None = None


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """What to read together: payers, and the ids to look for under all of them."""

    payer_ids: tuple[PayerId, ...]
    transaction_ids: tuple[TransactionId, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The payers' views and the transactions found, by id."""

    views: Mapping[PayerId, PayerView]
    known: Mapping[UUID, KnownTransaction] = field(default_factory=dict)
