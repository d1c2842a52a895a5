"""What the service does to a card under keys 0 and 3, as orders, and the commands that are made of them.

The service writes its commands itself. An order says what is meant, an amount or a statement that verifies as
one; bytes that a terminal or an agent chose are never wrapped.
"""

from dataclasses import dataclass
from typing import TypeAlias

from pki.card_keys import aes
from pki.card_keys.errors import CardOrderInvalid
from pki.card_keys.masters import Application, ServiceMaster, ServiceRole, TerminalMaster
from pki.card_keys.messaging import Mode
from pki.card_keys.native import CHANGE_KEY, CREDIT, WRITE_DATA
from pki.card_keys.transaction_mac import TransactionInput
from pki.errors import StatementMalformed
from pki.statements.entitlement import open_entitlement

# Ours, `docs/card-spec.md`: the files of an application
ENTITLEMENTS_FILE = 0x00
VALUE_FILE = 0x02
# MF2DL(H)x0, 8.2.3.4: a value has four bytes, with a sign
MAX_AMOUNT = (1 << 31) - 1
# MF2DL(H)x0, 11.6.1: the highest bits of the key's number are something else
_KEY_NUMBERS = range(14)


@dataclass(frozen=True, slots=True)
class Credit:
    """Add to the value file of an application: pence, rides or visits, as the application counts."""

    application: Application
    amount: int
    key_version: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.amount <= MAX_AMOUNT:
            raise CardOrderInvalid(f"a credit is between 1 and {MAX_AMOUNT}")

    @property
    def master(self) -> ServiceMaster:
        """The key it is done under."""
        return ServiceMaster(self.application, ServiceRole.CREDIT, self.key_version)


@dataclass(frozen=True, slots=True)
class WriteEntitlement:
    """Write a signed entitlement into the file of entitlements, from `offset` on."""

    application: Application
    offset: int
    statement: bytes
    key_version: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.offset < 1 << 24:
            raise CardOrderInvalid("an offset has three bytes")
        try:
            open_entitlement(self.statement)
        except StatementMalformed as error:
            raise CardOrderInvalid(f"only entitlements are written as such: {error}") from error

    @property
    def master(self) -> ServiceMaster:
        """The key it is done under."""
        return ServiceMaster(self.application, ServiceRole.CREDIT, self.key_version)


@dataclass(frozen=True, slots=True)
class ChangeKey:
    """Replace a key of an application by the card's key of another master or version."""

    old: ServiceMaster | TerminalMaster
    new: ServiceMaster | TerminalMaster
    # Of key 0, under which keys are changed; where key 0 itself is changed, that of `old`
    administration_version: int = 0

    def __post_init__(self) -> None:
        if self.old.application != self.new.application or self.old.role is not self.new.role:
            raise CardOrderInvalid("a key is replaced by one of the same application and number")
        if self.old.version == self.new.version:
            raise CardOrderInvalid("the new key has the version of the old one")
        if not isinstance(self.new.role.value, int):
            raise CardOrderInvalid("the key of Transaction MACs is replaced with its file")

    @property
    def application(self) -> Application:
        """The application of both keys."""
        return self.new.application

    @property
    def master(self) -> ServiceMaster:
        """The key it is done under."""
        version = self.old.version if self.changes_own_key else self.administration_version
        return ServiceMaster(self.application, ServiceRole.ADMINISTRATION, version)

    @property
    def changes_own_key(self) -> bool:
        """Whether the key that is changed is the session's own: the card then ends the session."""
        return self.new.role is ServiceRole.ADMINISTRATION


Order: TypeAlias = Credit | WriteEntitlement | ChangeKey


@dataclass(frozen=True, slots=True, repr=False)
class ProtectedCommand:
    """A command before it is protected, and how it and its answer are. Its data may be a key: no `repr`."""

    instruction: int
    header: bytes
    data: bytes
    mode: Mode
    answer_mode: Mode


def credit(order: Credit) -> tuple[ProtectedCommand, TransactionInput]:
    """Credit of the value file, and its part of the Transaction MAC. MF2DL(H)x0, 11.8.2."""
    data = order.amount.to_bytes(4, "little", signed=True)
    command = ProtectedCommand(CREDIT, bytes([VALUE_FILE]), data, Mode.FULL, Mode.MAC)
    return command, TransactionInput().value(CREDIT, VALUE_FILE, order.amount)


def write_entitlement(order: WriteEntitlement) -> tuple[ProtectedCommand, TransactionInput]:
    """WriteData of the statement, and its part of the Transaction MAC. MF2DL(H)x0, 11.8.4."""
    length = len(order.statement).to_bytes(3, "little")
    header = bytes([ENTITLEMENTS_FILE]) + order.offset.to_bytes(3, "little") + length
    command = ProtectedCommand(WRITE_DATA, header, order.statement, Mode.FULL, Mode.MAC)
    written = TransactionInput().data_of_file(WRITE_DATA, ENTITLEMENTS_FILE, order.offset, order.statement)
    return command, written


def change_key(number: int, old: bytes, new: bytes, new_version: int, *, own: bool) -> ProtectedCommand:
    """ChangeKey for a key of this number. MF2DL(H)x0, 11.6.1.

    The session's own key is sent as it is, and answered without a MAC; another one is masked with the old
    key and followed by its checksum, so that a wrong old key is noticed.
    """
    if number not in _KEY_NUMBERS or len(old) != aes.KEY_BYTES or len(new) != aes.KEY_BYTES:
        raise CardOrderInvalid("keys are AES-128 and numbered 0 to 13")
    version = bytes([new_version])
    if own:
        return ProtectedCommand(CHANGE_KEY, bytes([number]), new + version, Mode.FULL, Mode.PLAIN)
    masked = bytes(a ^ b for a, b in zip(new, old, strict=True))
    data = masked + version + aes.crc32_jam(new)
    return ProtectedCommand(CHANGE_KEY, bytes([number]), data, Mode.FULL, Mode.MAC)
