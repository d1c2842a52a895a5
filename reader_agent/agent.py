"""An opened agent: the terminal's keys, outbox and memory, the service, the clock."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Self

from pki.clock import Clock
from pki.errors import PkiError
from pki.status_list import CardStatus
from reader_agent.answers import ServiceAnswer, read_answer
from reader_agent.card_maps import CardMaps
from reader_agent.chunks import Told, read_answers
from reader_agent.config import OUTBOX_KEY, TERMINAL_KEY, AgentDirectory
from reader_agent.errors import ClockBehind, ConfigInvalid, ServiceUnreachable, TrustMissing
from reader_agent.known_cards import KnownCards
from reader_agent.memory import Memory
from reader_agent.outbox import Outbox
from reader_agent.outbox_entries import Entry
from reader_agent.service_client import ServiceClient
from reader_agent.status_lists import StatusLists
from reader_agent.trust import SchemeTrust, load_trust, read_trust, save_trust

# A revoked card is refused by the service at once; by the terminal, while it is offline, as of its last list.
TRUST_MAX_AGE = timedelta(minutes=5)
# The clocks of terminal and service are never quite equal; what lies further back is a clock set wrong.
CLOCK_TOLERANCE = timedelta(seconds=30)


class Agent:
    """One terminal. Use as a context manager; for one thread, while other processes may have it open, too."""

    def __init__(
        self, directory: AgentDirectory, clock: Clock, known_cards: KnownCards | None = None
    ) -> None:
        """Open the folder; several agents of one process may know cards together. Raises ConfigInvalid."""
        self.directory, self.now = directory, clock
        self.known_cards = KnownCards() if known_cards is None else known_cards
        self.settings = directory.settings()
        keys = directory.keys(self.settings)
        try:
            key, outbox_key = keys.private_key(TERMINAL_KEY), keys.secret(OUTBOX_KEY)
        except PkiError as error:
            raise ConfigInvalid(f"the agent's keys cannot be opened: {error}") from error
        self._root = directory.root()
        self._trust: SchemeTrust | None = None
        self._key = key
        self.client = self.new_client()
        self._lists = StatusLists(directory.status_list_file, self.client.status_list)
        self._maps = CardMaps(
            directory.card_map_file, self._lists, self.client, lambda: directory.keys(self.settings)
        )
        self.outbox = Outbox(directory.outbox_file, outbox_key)
        self.memory = Memory(directory.memory_file)

    @property
    def terminal(self) -> str:
        """The terminal's id."""
        return self.settings.terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        self.client.close()
        self.outbox.close()
        self.memory.close()

    def new_client(self) -> ServiceClient:
        """A client for another thread, which closes it."""
        ca_file = self.settings.ca_file
        return ServiceClient(
            self.settings.service_url,
            self.terminal,
            self._key,
            self.now,
            limits=self.settings.limits,
            ca_file=None if ca_file is None else str(ca_file),
        )

    # --- trust and time ---

    def stored_trust(self) -> SchemeTrust:
        """The scheme's trust as it was fetched last. Raises TrustMissing."""
        if self._trust is None:
            kept = load_trust(self.directory.trust_file, self._root)
            self._trust = self._lists.held_by(kept, self.now())
        return self._trust

    def reload_trust(self) -> None:
        """Look at the folder again when the trust is wanted next: another program has fetched it since."""
        self._trust = None

    def fetch_trust(self) -> SchemeTrust:
        """The scheme's trust from the service, kept. Raises what ServiceClient does, and SchemeChanged."""
        known: SchemeTrust | None = None
        with suppress(TrustMissing):
            known = self.stored_trust()
        fetched = read_trust(self.client.trust(), self._root, known, self.now())
        save_trust(fetched, self.directory.trust_file)
        self._lists.refresh(fetched, self.now())
        self._trust = self._lists.held_by(fetched, self.now())
        return self._trust

    def trust(self) -> SchemeTrust:
        """The scheme's trust, fetched again when it is old and the service answers. Raises TrustMissing."""
        with suppress(TrustMissing):
            stored = self.stored_trust()
            if abs(self.now() - stored.fetched_at) <= TRUST_MAX_AGE:
                return stored
        with suppress(ServiceUnreachable):
            return self.fetch_trust()
        return self.stored_trust()

    def status_of_uid(self, uid: bytes) -> CardStatus:
        """The status of a card that shows its UID alone; asks the service for what is new, if it answers.

        Raises TrustMissing, and what `CardMaps.status` does: a card of which nothing is known is not good.
        """
        trust, moment = self.trust(), self.now()
        self._maps.refresh(trust, moment)
        return self._maps.status(uid, trust, moment)

    def check_clock(self, moment: datetime) -> None:
        """Raises ClockBehind if `moment` lies before a time that the service or an authority has signed."""
        signed = max(self.outbox.signed_time(), self.stored_trust().signed_time)
        if moment < signed - CLOCK_TOLERANCE:
            raise ClockBehind(moment, signed)

    # --- the service ---

    def nonce(self) -> bytes:
        """A nonce of the service, young enough to be used. Raises what ServiceClient does."""
        if (nonce := self.memory.nonce(self.now())) is None:
            nonce = self.client.nonce()
            self.memory.keep_nonce(nonce, self.now())
        return nonce

    def send(self, entry: Entry, message: bytes | None = None) -> ServiceAnswer:
        """Send a stored entry, exactly as it is stored; its answer, verified and stored.

        Who has just stored its message may give it, so that it is not read and decrypted again. Raises
        ServiceUnreachable, ServiceProblem, ServiceAnswerInvalid, OutboxDamaged; OutboxConflict where another
        program was faster.
        """
        if message is None:
            message = self.outbox.content(entry.id).message
        document = self.client.authorise(message)
        answer = read_answer(document, entry.id, entry.digest, self.stored_trust(), self.now())
        self.keep(entry, answer)
        return answer

    def send_chunk(self, entries: Sequence[Entry], chunk: bytes) -> list[Told]:
        """Send stored entries together; what each was answered, verified, in their order. Stores nothing.

        Raises ServiceUnreachable, ServiceProblem and ServiceAnswerInvalid, where it is about all of them.
        """
        document = self.client.tell(chunk)
        return read_answers(document, entries, self.terminal, self.stored_trust(), self.now())

    def keep(self, entry: Entry, answer: ServiceAnswer) -> None:
        """Store the verified answer to an entry. Raises OutboxConflict where another program was faster."""
        moment = self.now()
        self.memory.keep_nonce(answer.nonce, moment)
        self.outbox.answered(entry.id, answer.document, moment, answer.time)

    # --- several programs on one outbox ---

    @contextmanager
    def tapping(self) -> Iterator[None]:
        """While a tap is going on, nobody else closes its request."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def no_tap_going_on(self) -> Iterator[bool]:
        """Whether no tap is going on, here or in another program; if so, none begins during the block."""
        with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB) as is_ours:
            yield is_ours

    @contextmanager
    def _locked(self, how: int) -> Iterator[bool]:
        descriptor = os.open(self.directory.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _lock(descriptor, how)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    """Whether the lock was to be had; without LOCK_NB it is waited for."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True
