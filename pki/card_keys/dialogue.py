"""An order carried out on a card that somebody else holds to a reader: command by command, by relay.

The service makes every command and reads every answer; the agent between sees protected bytes alone.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from pki.card_keys.errors import CardAnswerInvalid, CardOrderInvalid, CardRefused, CardSessionEnded
from pki.card_keys.masters import ServiceMaster, ServiceRole, TerminalMaster
from pki.card_keys.messaging import Mode, Session
from pki.card_keys.native import (
    COMMIT_READER_ID,
    COMMIT_TRANSACTION,
    GET_VALUE,
    OPERATION_OK,
    SELECT_APPLICATION,
    NativeAnswer,
    NativeCommand,
)
from pki.card_keys.orders import (
    VALUE_FILE,
    ChangeKey,
    Credit,
    Order,
    ProtectedCommand,
    WriteEntitlement,
    change_key,
    credit,
    write_entitlement,
)
from pki.card_keys.sam import Sam, ServiceSam
from pki.card_keys.transaction_mac import READER_ID_BYTES, TransactionInput, TransactionMac

# MF2DL(H)x0, 11.10.1: CommitTransaction with this option returns TMC and TMV
_RETURN_TRANSACTION_MAC = b"\x01"

_Steps = Generator[NativeCommand, NativeAnswer, "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the card did. Of a change of key there is no Transaction MAC."""

    order: Order
    transaction_mac: TransactionMac | None = None
    # What the Transaction MAC is over, with the key's master to verify it
    transaction: TransactionInput = field(default_factory=TransactionInput)
    # Before a credit
    value_before: int | None = None


class Dialogue:
    """Carries one order out. `command` is the APDU to send; give the card's answer to `take`.

    It ends with `outcome`, or with an error that says what went wrong. Where the answer to the last command
    of a credit or an entitlement is lost, it is open whether the card has committed: read the card again.
    """

    def __init__(
        self,
        order: Order,
        uid: bytes,
        sam: ServiceSam,
        terminals: Sam[TerminalMaster],
        reader_id: bytes,
    ) -> None:
        if len(reader_id) != READER_ID_BYTES:
            raise CardOrderInvalid("a ReaderID has 16 bytes")
        self._order = order
        self._uid = uid
        self._sam = sam
        self._terminals = terminals
        self._reader_id = reader_id
        self.outcome: Outcome | None = None
        self._steps = self._run()
        self._command: NativeCommand | None = next(self._steps)

    @property
    def command(self) -> bytes | None:
        """The APDU to send to the card; None when there is nothing more to send."""
        return None if self._command is None else self._command.apdu()

    def take(self, answer: bytes) -> None:
        """The card's answer to `command`. Raises the CardSessionError that ends the dialogue."""
        if self._command is None:
            raise CardSessionEnded("the dialogue has ended")
        self._command = None
        try:
            self._command = self._steps.send(NativeAnswer.from_apdu(answer))
        except StopIteration as end:
            self.outcome = end.value

    def _run(self) -> _Steps:
        answer = yield NativeCommand(SELECT_APPLICATION, self._order.application.identifier)
        if answer.status != OPERATION_OK:
            raise CardRefused(answer.status)
        session = yield from self._authenticate(self._order.master)
        try:
            if isinstance(self._order, ChangeKey):
                return (yield from self._change_key(session, self._order))
            return (yield from self._transaction(session, self._order))
        finally:
            session.end()

    def _authenticate(self, master: ServiceMaster) -> Generator[NativeCommand, NativeAnswer, Session]:
        authentication = self._sam.authenticate(master, self._uid)
        challenge = yield authentication.command
        proof = yield authentication.challenge(challenge)
        return authentication.finish(proof)

    def _change_key(self, session: Session, order: ChangeKey) -> _Steps:
        number = order.new.role.value
        if not isinstance(number, int):  # the order has refused it
            raise CardOrderInvalid("the key has no number")
        old, new = self._card_key(order.old), self._card_key(order.new)
        command = change_key(number, old, new, order.new.version, own=order.changes_own_key)
        yield from _exchange(session, command)
        return Outcome(order)

    def _transaction(self, session: Session, order: Credit | WriteEntitlement) -> _Steps:
        """Reader, what was before, the change, commit: so that the Transaction MAC attests all of it."""
        reader = ProtectedCommand(COMMIT_READER_ID, b"", self._reader_id, Mode.MAC, Mode.FULL)
        encrypted = yield from _exchange(session, reader, padded=False)
        if len(encrypted) != READER_ID_BYTES:
            raise CardAnswerInvalid("the card's answer to CommitReaderID is not a ReaderID")
        transaction = TransactionInput().reader(COMMIT_READER_ID, self._reader_id, encrypted)
        value_before = None
        if isinstance(order, Credit):
            value_before = yield from self._value(session)
            transaction = transaction.value(GET_VALUE, VALUE_FILE, value_before)
        command, added = credit(order) if isinstance(order, Credit) else write_entitlement(order)
        yield from _exchange(session, command)
        transaction = TransactionInput(transaction.data + added.data)
        commit = ProtectedCommand(COMMIT_TRANSACTION, _RETURN_TRANSACTION_MAC, b"", Mode.MAC, Mode.MAC)
        found = TransactionMac.from_bytes((yield from _exchange(session, commit)))
        return Outcome(order, found, transaction, value_before)

    def _value(self, session: Session) -> Generator[NativeCommand, NativeAnswer, int]:
        command = ProtectedCommand(GET_VALUE, bytes([VALUE_FILE]), b"", Mode.MAC, Mode.FULL)
        data = yield from _exchange(session, command)
        if len(data) != 4:
            raise CardAnswerInvalid("a value has four bytes")
        return int.from_bytes(data, "little", signed=True)

    def _card_key(self, master: ServiceMaster | TerminalMaster) -> bytes:
        if isinstance(master, ServiceMaster):
            return self._sam.card_key(master, self._uid)
        return self._terminals.card_key(master, self._uid)


def transaction_mac_master(outcome: Outcome, version: int = 0) -> ServiceMaster:
    """The master whose key of this card has made the outcome's Transaction MAC."""
    return ServiceMaster(outcome.order.application, ServiceRole.TRANSACTION_MAC, version)


def _exchange(
    session: Session, command: ProtectedCommand, *, padded: bool = True
) -> Generator[NativeCommand, NativeAnswer, bytes]:
    answer = yield session.wrap(command.instruction, command.header, command.data, command.mode)
    return session.unwrap(answer, command.answer_mode, padded=padded)
