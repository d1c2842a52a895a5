"""A chunk of a terminal's advices and annulments becomes posted and answered transactions.

Most of it takes one way: decided one after another as of one moment, and posted together. What that way does
not take goes the way of any message, after it: annulments and advices that replace a request, with whatever
follows them of the same card; what is contested by somebody else; what came before.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.exc import OperationalError

from cardservice.advices.deciding import Decider
from cardservice.advices.facts import ChunkFacts, groups, read_facts
from cardservice.advices.wire import read_entry
from cardservice.authorisation.answers import Given, stored_answer
from cardservice.authorisation.messages import CardMessage, Message
from cardservice.authorisation.refusals import refused
from cardservice.authorisation.service import question_of, read_terms
from cardservice.authorisation.settling import Prepared, Question, Settled, settle_all
from cardservice.context import Context
from cardservice.database import driver_of
from cardservice.errors import Busy, MessageRefused
from cardservice.ids import CardId, PayerId
from cardservice.ledger import nodes
from cardservice.ledger.chunks import post_chunk
from cardservice.ledger.reading import read_known
from cardservice.quarantine.service import note
from cardservice.terminals.service import Terminal


def ingest(context: Context, terminal: Terminal, entries: Sequence[bytes]) -> list[Settled]:
    """What becomes of each entry, in their order: what it would have been answered alone.

    The same entries again get the same answers. What is refused is noted, and kept in quarantine.
    """
    chunk = _Chunk(context, terminal, entries)
    chunk.read()
    together, facts = chunk.look()
    if facts is not None:
        chunk.answer_known({row: m for row, m in together.items() if m.id in facts.known}, facts)
        chunk.post({row: m for row, m in together.items() if m.id not in facts.known}, facts)
    chunk.settle_rest()
    chunk.note_refusals()
    return [chunk.settled[row] for row in range(len(entries))]


@dataclass(slots=True)
class _Chunk:
    """A chunk on its way; its entries by their row."""

    context: Context
    terminal: Terminal
    entries: Sequence[bytes]
    messages: dict[int, Message] = field(default_factory=dict)
    questions: dict[int, Question] = field(default_factory=dict)
    settled: dict[int, Settled] = field(default_factory=dict)

    def read(self) -> None:
        """Checks 1 to 3 of each entry."""
        terms = read_terms(self.context, self.terminal)
        for row, entry in enumerate(self.entries):
            message = read_entry(self.context.scheme.id, self.terminal.id, entry)
            if isinstance(message, MessageRefused):
                self.settled[row] = message
                continue
            self.messages[row] = message
            try:
                self.questions[row] = question_of(self.context, self.terminal, message, terms=terms)
            except MessageRefused as refusal:
                self.settled[row] = refusal

    def look(self) -> tuple[Mapping[int, CardMessage], ChunkFacts | None]:
        """What is decided together, and on what; None where there is nothing of it.

        On a cluster without those who lie on a node that does not answer: they are told to come again.
        """
        while True:
            away = nodes.away()
            self._leave(away)
            together = self._together()
            if not together:
                return {}, None
            try:
                return together, read_facts(self.context, list(together.values()))
            except OperationalError as error:
                if not nodes.has_failed(error.orig) or nodes.away() <= away:
                    raise

    def _leave(self, away: AbstractSet[str]) -> None:
        if not away:
            return
        cards = {question.message.card_id for question in self.questions.values()}
        with self.context.database.reading() as connection:
            there = nodes.cards_on(driver_of(connection), cards, away)
        for row, question in self.questions.items():
            if question.message.card_id in there:
                self.settled[row] = Busy("the node that has this payer does not answer; send it again")

    def _together(self) -> dict[int, CardMessage]:
        """What is decided and posted together: advices that stand for themselves, each id once."""
        apart: set[CardId] = set()
        ids: set[UUID] = set()
        found: dict[int, CardMessage] = {}
        for row, question in self.questions.items():
            message = question.message
            if message.id in ids or row in self.settled:
                continue
            ids.add(message.id)
            if not isinstance(message, CardMessage) or message.replaces is not None:
                # What follows of this card is decided on what comes of it.
                apart.add(message.card_id)
            elif message.card_id not in apart:
                found[row] = message
        return found

    def answer_known(self, known: Mapping[int, CardMessage], facts: ChunkFacts) -> None:
        """Check 4: the stored answers, with nothing posted."""
        currency = self.context.scheme.currency
        with self.context.database.reading() as connection:
            for rows in groups(list(known)):
                payers = {row: facts.payers_for(known[row]).all for row in rows}
                wanted = {payer for each in payers.values() for payer in each}
                stored = read_known(connection, wanted, {known[row].id for row in rows})
                by_key = {(record.payer_id, record.id): record for record in stored}
                for row in rows:
                    message = known[row]
                    record = next(
                        by_key[payer, message.id] for payer in payers[row] if (payer, message.id) in by_key
                    )
                    try:
                        self.settled[row] = stored_answer(record, message, self.terminal.id, currency)
                    except MessageRefused as refusal:
                        self.settled[row] = refusal

    def post(self, new: Mapping[int, CardMessage], facts: ChunkFacts) -> None:
        """Decide these one after another and post them together; what does not stand is left for later."""
        decider = Decider(self.context, facts, new.values())
        prepared: dict[int, Prepared] = {}
        # Payers of what has to be claimed first; what follows of them is decided after it.
        apart: set[PayerId] = set()
        for row, message in new.items():
            try:
                decided = decider.decide(self.questions[row].terminal, message)
                if decided.wants_first:
                    apart.add(decided.posting.payer_id)
                if decided.posting.payer_id not in apart:
                    prepared[row] = decided
            except MessageRefused as refusal:
                self.settled[row] = refusal
            except Exception:  # noqa: BLE001, S112 - it is tried alone, where it is answered or logged
                continue
        posted = post_chunk(self.context.database, [each.posting for each in prepared.values()])
        for row, each in prepared.items():
            transaction = each.posting.transaction
            if transaction.id in posted:
                self.settled[row] = Given(
                    body=transaction.body, answer=each.answer, answered_at=transaction.posted_at
                )

    def settle_rest(self) -> None:
        """What is not settled yet goes the way of any message, in the order in which it came."""
        rows = [row for row in self.questions if row not in self.settled]
        answers = settle_all(self.context, [self.questions[row] for row in rows])
        self.settled |= dict(zip(rows, answers, strict=True))

    def note_refusals(self) -> None:
        """On the security log and in quarantine, all in one transaction."""
        noted = [
            refused(self.context, self.terminal.id, self.messages.get(row), one, self.entries[row])
            for row, one in sorted(self.settled.items())
            if isinstance(one, MessageRefused)
        ]
        if noted:
            with self.context.database.begin() as connection:
                note(connection, self.context.keys.cardholder_kek, noted)


def counts(settled: Sequence[Settled]) -> dict[str, Any]:
    """How many entries came to what: answered, repeated, each problem; `again`: not settled yet."""
    found: dict[str, Any] = {"answered": 0, "repeated": 0, "again": 0, "problems": {}}
    for one in settled:
        if isinstance(one, Given):
            found["repeated" if one.repeated else "answered"] += 1
        else:
            code = getattr(one, "code", "internal_error")
            found["again"] += not isinstance(one, MessageRefused)
            found["problems"][code] = found["problems"].get(code, 0) + 1
    return found
