"""What can go wrong around a software card; what the card itself refuses, it refuses by a status word."""

from pathlib import Path


class VirtualCardError(Exception):
    """Base class; `code` is stable, the text says what to do."""

    code = "virtual_card"


class CardFileExists(VirtualCardError):
    """A new card would overwrite another."""

    code = "card_file_exists"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists: name another file, or delete that card first")
        self.path = path


class CardFileUnusable(VirtualCardError):
    """The file is not there, cannot be read, or is no card."""

    code = "card_file_unusable"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be used as a card: {reason}")
        self.path, self.reason = path, reason


class CardInUse(VirtualCardError):
    """The card is on a reader: it cannot be on another, nor show both of its faces at once."""

    code = "card_in_use"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is on a reader: pull it there first")
        self.path = path


class CardUnpowered(VirtualCardError):
    """A command came to a card without power."""

    code = "card_unpowered"


class CardTorn(VirtualCardError):
    """The card was told to lose its power in the middle of a write, and has."""

    code = "card_torn"

    def __init__(self, write: int) -> None:
        super().__init__(f"the card lost its power at write {write}, as it was told; put it in again")
        self.write = write


class CardSaysNothing(VirtualCardError):
    """The card was told to fall silent, and has."""

    code = "card_says_nothing"

    def __init__(self) -> None:
        super().__init__("the card says nothing any more, as it was told; pull it")


class CardNameUnusable(VirtualCardError):
    """A name that no file of a wallet can have."""

    code = "card_name_unusable"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} cannot be a card's name: take up to 64 small letters, digits and hyphens, "
            "and no hyphen first"
        )
        self.name = name


class CardNotInserted(VirtualCardError):
    """A card is to be removed that is on no reader."""

    code = "card_not_inserted"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is on no reader")
        self.name = name


class CardStuck(VirtualCardError):
    """A card does not come out of its reader."""

    code = "card_stuck"

    def __init__(self, name: str, pid: int) -> None:
        super().__init__(f"{name} does not come out; end process {pid}, which holds it")
        self.name, self.pid = name, pid


class ReaderUndecided(VirtualCardError):
    """Nothing says into which reader a card is to go."""

    code = "reader_undecided"


class ReaderAbsent(VirtualCardError):
    """No virtual reader takes a card at that port."""

    code = "reader_absent"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"no virtual reader listens on {host}:{port}: start one, or use the port it printed")
        self.host, self.port = host, port


class ReadersUnavailable(VirtualCardError):
    """A private pcscd cannot be run here, or did not come up."""

    code = "readers_unavailable"
