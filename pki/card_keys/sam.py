"""The SAM: a card's keys and sessions, of masters that may lie in files or on a token.

A terminal has one over its `TerminalMaster`s, the service one over its `ServiceMaster`s; which of the two it
is the types say. A card's own keys exist in memory for as long as a session needs them.
"""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

from pki.card_keys.authentication import RANDOM_BYTES, Authentication, CardKey
from pki.card_keys.diversification import SYSTEM_IDENTIFIER_BYTES, diversification_message
from pki.card_keys.errors import CardOrderInvalid
from pki.card_keys.masters import Masters, ServiceMaster, ServiceRole, TerminalMaster
from pki.card_keys.messaging import Session
from pki.card_keys.transaction_mac import TransactionMacKey

MasterT = TypeVar("MasterT", bound=TerminalMaster | ServiceMaster)


class Sam(Generic[MasterT]):
    """Derives cards' keys and opens sessions. `system_identifier` is the scheme's, 6 to 20 bytes."""

    def __init__(
        self,
        masters: Masters[MasterT],
        system_identifier: bytes,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        shortest, longest = SYSTEM_IDENTIFIER_BYTES
        if not shortest <= len(system_identifier) <= longest:
            raise CardOrderInvalid(f"a system identifier has {shortest} to {longest} bytes")
        self._masters = masters
        self._system_identifier = system_identifier
        self._random = random

    def authenticate(self, master: MasterT, uid: bytes, session: Session | None = None) -> Authentication:
        """Begin an authentication with this card's key: a non-first one where there is a session.

        Raises CardOrderInvalid for what is no UID or no numbered key, and what the masters raise.
        """
        number = master.role.value
        if not isinstance(number, int):
            raise CardOrderInvalid("nobody authenticates with the key of Transaction MACs")
        key = CardKey(number, self.card_key(master, uid))
        return Authentication(key, self._random(RANDOM_BYTES), session)

    def card_key(self, master: MasterT, uid: bytes) -> bytes:
        """A key of this card, 16 bytes. Raises CardOrderInvalid for what is no UID, and as the masters do."""
        try:
            message = diversification_message(uid, master.application.identifier, self._system_identifier)
        except ValueError as error:
            raise CardOrderInvalid(str(error)) from error
        return self._masters.cmac(master, message)


class TerminalSam(Sam[TerminalMaster]):
    """The keys that a provider's terminals may use."""


class ServiceSam(Sam[ServiceMaster]):
    """The keys that the service alone has."""

    def transaction_mac_key(self, master: ServiceMaster, uid: bytes) -> TransactionMacKey:
        """The key that this card proves its transactions with in an application.

        Raises CardOrderInvalid for a master of another role, and as `card_key`.
        """
        if master.role is not ServiceRole.TRANSACTION_MAC:
            raise CardOrderInvalid(f"{master.name} makes no Transaction MACs")
        return TransactionMacKey(uid, self.card_key(master, uid))
