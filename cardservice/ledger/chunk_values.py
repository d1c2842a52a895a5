"""What the steps of a chunk share: which postings stand, and what they add up to."""

from collections import Counter
from collections.abc import Mapping, Sequence

from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.values import AccountName, Posting, is_payers


class Taken(Exception):
    """An id of the chunk is taken under a payer whose version says that nothing has changed."""


def check_versions(postings: Sequence[Posting], versions: Mapping[PayerId, int]) -> list[Posting]:
    """The postings whose payers are all as they were when it was decided; `versions`: of the locked ones.

    A payer of whom one posting does not stand is left out as a whole: the later ones were decided on it.
    """
    out = {
        posting.payer_id
        for posting in postings
        if any(versions.get(payer) != version for payer, version in read_versions(posting))
    }
    while True:
        # What also looks under a payer that is left out was decided before that payer's will be.
        more = {
            posting.payer_id
            for posting in postings
            if posting.payer_id not in out and any(payer in out for payer, _ in posting.also_under)
        }
        if not more:
            return [posting for posting in postings if posting.payer_id not in out]
        out |= more


def read_versions(posting: Posting) -> tuple[tuple[PayerId, int], ...]:
    """Every payer that it was decided on, with the version as read."""
    return ((posting.payer_id, posting.expected_version), *posting.also_under)


def payers_of(postings: Sequence[Posting]) -> list[PayerId]:
    """Every payer that is to be locked, in key order."""
    return sorted({payer for posting in postings for payer, _ in read_versions(posting)})


class Sums:
    """What the postings of a chunk add to accounts, counters and versions, each row once."""

    def __init__(self, postings: Sequence[Posting]) -> None:
        self.accounts: Counter[tuple[PayerId, AccountName, str]] = Counter()
        self.counters: Counter[tuple[PayerId, CardholderId, str, str]] = Counter()
        self.versions: Counter[PayerId] = Counter()
        for posting in postings:
            payer = posting.payer_id
            self.versions[payer] += 1
            for line in posting.transfers:
                for name, gain in ((line.credit, line.amount_minor), (line.debit, -line.amount_minor)):
                    if is_payers(name):
                        self.accounts[payer, name, line.unit] += gain
            for new in posting.counters:
                self.counters[payer, new.cardholder_id, new.rule, new.period] += new.change
