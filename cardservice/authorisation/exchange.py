"""The two exchanges with the database that a message takes: what it is decided on is read; it is posted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cardservice.authorisation.found import Found, Wanted
from cardservice.authorisation.reading import read_for_messages
from cardservice.database import Database
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.posting import post
from cardservice.ledger.values import Posting, PostingResult


class Exchange(Protocol):
    """Whatever reads and posts for many requests; each call waits for its own answers alone."""

    def read(self, wanted: Sequence[Wanted]) -> list[Found]:
        """One result for each message, in their order. Raises Busy, and what the database raises."""

    def post(self, postings: Sequence[Posting]) -> list[PostingResult | Exception]:
        """What became of each posting, in their order; what went wrong with one costs no other anything.

        PostingRefused for what a constraint refused, Busy where it is not known whether it was posted. Payers
        and ids must all be distinct. Raises what the database raises for all of them.
        """

    def close(self) -> None:
        """End what runs beside the requests."""


@dataclass(frozen=True, slots=True)
class DirectExchange:
    """Reads and posts at once, on a connection of the caller's own: where threads wait for the database."""

    database: Database

    def read(self, wanted: Sequence[Wanted]) -> list[Found]:
        """See Exchange."""
        return read_for_messages(self.database, wanted)

    def post(self, postings: Sequence[Posting]) -> list[PostingResult | Exception]:
        """See Exchange."""
        try:
            return list(post(self.database, postings))
        except PostingRefused as refused:
            if len(postings) == 1:
                return [refused]
        return [outcome for posting in postings for outcome in self.post([posting])]

    def close(self) -> None:
        """See Exchange."""
