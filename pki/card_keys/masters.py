"""Master keys: one for each application, key and version, in two classes that cannot be confused.

Keys 1 and 2 of a provider's own applications must lie on its terminals, which serve without a connection: a
`TerminalMaster` names one of them. Whatever can make money or change a card, and whatever proves a
transaction, stays with the service: a `ServiceMaster`. A terminal's code cannot name the second by its
types, and nothing here hands one out.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from pki.card_keys.errors import CardOrderInvalid
from pki.cmac import CmacKey, SoftwareCmacKey
from pki.keys import KeyStore


@dataclass(frozen=True, slots=True)
class Application:
    """An application of the card by its number, such as F5C010; 000000 is the card itself."""

    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < 1 << 24:
            raise CardOrderInvalid("an application's number has three bytes")

    @property
    def identifier(self) -> bytes:
        """As it is sent and as AN10922 takes it: least significant byte first."""
        return self.number.to_bytes(3, "little")


class TerminalRole(Enum):
    """The keys of a provider's terminals, by their number on the card."""

    READ = 1
    DEBIT = 2


class ServiceRole(Enum):
    """The keys of the service. The last has no number: it belongs to the file of Transaction MACs."""

    ADMINISTRATION = 0
    CREDIT = 3
    TRANSACTION_MAC = "mac"


@dataclass(frozen=True, slots=True)
class TerminalMaster:
    """A master that a provider's terminals may hold. `version` is the one stored beside the key, 0 to 255."""

    application: Application
    role: TerminalRole
    version: int = 0

    def __post_init__(self) -> None:
        _check_version(self.version)

    @property
    def name(self) -> str:
        """What it is called in a key store."""
        return f"terminal-{self.application.number:06x}-{self.role.value}-v{self.version}"


@dataclass(frozen=True, slots=True)
class ServiceMaster:
    """A master that never leaves the service. `version` is the one stored beside the key, 0 to 255."""

    application: Application
    role: ServiceRole
    version: int = 0

    def __post_init__(self) -> None:
        _check_version(self.version)

    @property
    def name(self) -> str:
        """What it is called in a key store."""
        return f"service-{self.application.number:06x}-{self.role.value}-v{self.version}"


Master_contra = TypeVar("Master_contra", bound="TerminalMaster | ServiceMaster", contravariant=True)


class Masters(Protocol[Master_contra]):
    """Holds masters of one class. AES-CMAC is all that it can do with them, as a token does it."""

    def cmac(self, master: Master_contra, data: bytes) -> bytes:
        """AES-CMAC of the data under this master, 16 bytes. Raises KeyNotFound and what the store raises."""
        ...


class _StoredMasters:
    """Masters in a key store, of files or a token. Each is fetched once, and kept for the object's life."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._opened: dict[str, CmacKey] = {}

    def _key(self, name: str) -> CmacKey:
        if name not in self._opened:
            self._opened[name] = self._store.cmac_key(name)
        return self._opened[name]


class ServiceMasters(_StoredMasters):
    """The service's masters. They can be used, and not be read."""

    def generate(self, master: ServiceMaster) -> None:
        """Make and keep a master. Raises KeyExists, and what the store raises."""
        self._store.generate_cmac_key(master.name)

    def cmac(self, master: ServiceMaster, data: bytes) -> bytes:
        """AES-CMAC under this master. Raises KeyNotFound, and what the store raises."""
        return self._key(master.name).cmac(data)


class TerminalMasters(_StoredMasters):
    """The masters of terminals, where they are made and where they are used."""

    def __init__(self, store: KeyStore) -> None:
        super().__init__(store)
        self._released: dict[TerminalMaster, ReleasedMaster] = {}

    def generate(self, master: TerminalMaster) -> None:
        """Make and keep a master. Raises KeyExists, and what the store raises."""
        self._store.generate_cmac_key(master.name)

    def cmac(self, master: TerminalMaster, data: bytes) -> bytes:
        """AES-CMAC under this master. Raises KeyNotFound, and what the store raises."""
        return self._key(master.name).cmac(data)

    def release(self, master: TerminalMaster) -> "ReleasedMaster":
        """The master itself, for a terminal of the provider that owns its application.

        Seal it for the terminal before it goes anywhere (`pki.card_keys.handover`). Raises KeyNotFound, what
        the store raises, and KeyNotExtractable for one on a token: make the terminals' masters in files.
        """
        # Kept, too: to open a file takes as long as guessing its passphrase once shall.
        if master not in self._released:
            self._released[master] = ReleasedMaster(master, self._store.secret(master.name))
        return self._released[master]


@dataclass(frozen=True, slots=True, repr=False)
class ReleasedMaster:
    """A terminal's master with its 16 bytes. It has no `repr`, so that no log shows it."""

    master: TerminalMaster
    value: bytes


class ReleasedMasters:
    """The masters that a terminal was given, in its memory."""

    def __init__(self, released: tuple[ReleasedMaster, ...]) -> None:
        self._keys = {one.master: SoftwareCmacKey(one.value) for one in released}

    def cmac(self, master: TerminalMaster, data: bytes) -> bytes:
        """AES-CMAC under this master. Raises CardOrderInvalid where the terminal was not given it."""
        if master not in self._keys:
            raise CardOrderInvalid(f"this terminal has no key {master.name}; it is another provider's")
        return self._keys[master].cmac(data)


def _check_version(version: int) -> None:
    if not 0 <= version <= 0xFF:
        raise CardOrderInvalid("a key's version is 0 to 255")
