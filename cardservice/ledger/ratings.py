"""Ratings: what a day should cost is computed from its taps, again and again; what is missing is posted.

A tap has no amount. Whatever reads the taps of one person, service and travel day (a worker; later
transport's rules) says with `Rating` what the day *should be*; what is posted is that minus what was *rated
before*. Dearer than before may go to arrears, cheaper goes back to where it came from. Goodwill is a
transaction of its own, of kind `goodwill`, and stays outside that difference: a day that is rated anew takes
none of it back. Pure functions; `rating_days` reads and posts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from uuid import UUID

from cardservice.ids import PayerId, ProviderId, TransactionId, new_id
from cardservice.ledger.reversing import given_back, last_first
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    AccountName,
    KnownTransaction,
    NewTransaction,
    NewTransfer,
    PayerView,
    Posting,
    StoredTransfer,
    provider_of,
    provider_payable,
)
from pki.statements import deterministic


@dataclass(frozen=True, slots=True)
class Subject:
    """What is rated: a person's day with a service, as far as one payer pays for it."""

    payer_id: PayerId
    # Of the key that the person's proofs are encrypted under (`cardholder_key.id`), and not the person's own:
    # a rating is never changed, and when the person is erased nothing tells any more whose key it was.
    key_id: UUID
    service: str
    travel_day: date


@dataclass(frozen=True, slots=True)
class Share:
    """What of the day is one provider's, under one tax code."""

    provider: ProviderId
    amount_minor: int
    tax_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a day should be, by which taps and which version of the tariff; shares of nothing are left out."""

    subject: Subject
    shares: tuple[Share, ...]
    taps: tuple[TransactionId, ...]
    tariff_version: str
    unit: str
    id: TransactionId = field(default_factory=lambda: TransactionId(new_id()))

    @property
    def should_be_minor(self) -> int:
        """The day's price."""
        return sum(share.amount_minor for share in self.shares)

    @property
    def body(self) -> bytes:
        """SHA-256 of the deterministic CBOR of what was rated."""
        subject = self.subject
        rated = [
            *("rating", self.id.bytes, subject.key_id.bytes, subject.service),
            *(subject.travel_day.isoformat(), self.tariff_version, self.unit),
            [[share.provider, share.amount_minor, share.tax_code] for share in self.shares],
            [tap.bytes for tap in self.taps],
        ]
        return sha256(deterministic(rated)).digest()


@dataclass(frozen=True, slots=True)
class Rated:
    """A day as it was rated before: its newest revision, and the transactions of all, in their order."""

    revision: int = 0
    should_be_minor: int = 0
    taps: tuple[TransactionId, ...] = ()
    transactions: tuple[KnownTransaction, ...] = ()

    def is_as(self, new: Rating) -> bool:
        """Whether rating the day anew would say nothing new."""
        if not self.transactions:
            return False
        said = (self.taps, self.transactions[-1].tariff_version, standing(self))
        return said == (new.taps, new.tariff_version, by_share(new.shares))


# The credited account, and the tax code.
_Key = tuple[str, str | None]


def by_share(shares: Sequence[Share]) -> Mapping[_Key, int]:
    """What should stand."""
    found: Counter[_Key] = Counter()
    for share in shares:
        found[provider_payable(share.provider), share.tax_code] += share.amount_minor
    return {key: amount for key, amount in found.items() if amount}


def standing(before: Rated) -> Mapping[_Key, int]:
    """What stands of the ratings before."""
    found: Counter[_Key] = Counter()
    for known in before.transactions:
        for line in _charges(known):
            found[_key(line)] += line.amount_minor - line.reversed_minor
    return {key: amount for key, amount in found.items() if amount}


def difference(view: PayerView, before: Rated, new: Rating) -> tuple[NewTransfer, ...]:
    """The transfers that make what was rated before into what should be.

    What goes back goes first, of the newest charge and its last source; what is charged more is paid from
    `prepaid`, with what has just come back, down to its floor, and then from `arrears`.
    """
    stands, should_be = standing(before), by_share(new.shares)
    back = _given_back(view, before, {key: stands[key] - should_be.get(key, 0) for key in stands})
    available_minor = view.prepaid.available_minor + sum(
        transfer.amount_minor for transfer in back if transfer.credit == PAYER_PREPAID
    )
    dearer = []
    for (account, tax_code), amount_minor in should_be.items():
        due_minor = max(0, amount_minor - stands.get((account, tax_code), 0))
        own_minor = min(due_minor, max(0, available_minor))
        available_minor -= own_minor
        dearer += [
            NewTransfer(
                debit=source,
                credit=AccountName(account),
                amount_minor=share_minor,
                unit=new.unit,
                tax_code=tax_code,
                supplier=provider_of(AccountName(account)),
            )
            for source, share_minor in ((PAYER_PREPAID, own_minor), (PAYER_ARREARS, due_minor - own_minor))
            if share_minor
        ]
    return (*back, *dearer)


def _charges(known: KnownTransaction) -> Iterator[StoredTransfer]:
    """What a rating charged; not what it gave back."""
    return (line for line in known.transfers if line.reverses_transaction is None)


def _given_back(view: PayerView, before: Rated, surplus: Mapping[_Key, int]) -> list[NewTransfer]:
    left, owed_minor, transfers = dict(surplus), -view.arrears.balance, list[NewTransfer]()
    for known in reversed(before.transactions):
        for key, surplus_minor in left.items():
            lines = (line for line in _charges(known) if _key(line) == key)
            parts = last_first(lines, max(0, surplus_minor))
            left[key] = surplus_minor - sum(part.amount_minor for part in parts)
            given = given_back(known.id, parts, owed_minor)
            owed_minor -= sum(each.amount_minor for each in given if each.credit == PAYER_ARREARS)
            transfers += given
    return transfers


def _key(line: StoredTransfer) -> _Key:
    return line.credit, line.tax_code


def posting_of(view: PayerView, before: Rated, new: Rating, moment: datetime) -> Posting:
    """The day's difference as a posting; its amount is what the day now costs more, or less."""
    return Posting(
        payer_id=view.payer_id,
        expected_version=view.version,
        transaction=NewTransaction(
            id=new.id,
            origin="rating",
            kind="rating",
            decision="approved",
            reason="rated",
            unit=new.unit,
            body=new.body,
            occurred_at=moment,
            posted_at=moment,
            service=new.subject.service,
            amount_minor=abs(new.should_be_minor - before.should_be_minor),
            tariff_version=new.tariff_version,
        ),
        transfers=difference(view, before, new),
    )
