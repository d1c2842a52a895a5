"""Flows that write to a card, and every moment at which the power can fail in them.

A cut is before a command (the card is pulled between two of them), before or after a write of the card's
memory, or within such a write, at any call to the file system.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY, ObjectId
from reader_agent.errors import CardError, CardRemoved, PinWrong
from reader_agent.piv.session import PivSession
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.behaviour import Behaviour, ToldCard
from reader_agent.virtual_card.errors import CardTorn
from reader_agent.virtual_card.memory import PIN_TRIES, PUK_TRIES, CardMemory, Secret
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.host import make_certificate
from tests.reader_agent.virtual_card.power import PowerLoss, power_lost_at
from tests.reader_agent.world import DirectConnection

PIN, NEW_PIN, WRONG_PIN = "123456", "24681357", "000000"
PUK = "87654321"
NEVER = 1 << 30

OLD_CERTIFICATE = piv.encode_certificate(
    make_certificate(ec.generate_private_key(ec.SECP256R1()).public_key()).public_bytes(Encoding.DER)
)
NEW_CERTIFICATE = piv.encode_certificate(
    make_certificate(ec.generate_private_key(ec.SECP256R1()).public_key()).public_bytes(Encoding.DER)
)


@dataclass(frozen=True, slots=True)
class Flow:
    """Something that is done with a card, and what must hold of the card wherever it breaks off."""

    run: Callable[[PivSession], None]
    # What may be left of the attempts, in the order in which a flow comes by them
    pin_attempts: tuple[int, ...]
    puk_attempts: tuple[int, ...]
    pins: tuple[str, ...]
    certificates: tuple[bytes, ...]

    def check(self, memory: CardMemory) -> None:
        """Assert that the card is as before, as after, or as at a step between."""
        assert memory.pin.tries_left in self.pin_attempts
        assert memory.puk.tries_left in self.puk_attempts
        assert memory.pin.value in [piv.encode_pin(pin) for pin in self.pins]
        assert memory.objects[ObjectId.PIV_AUTHENTICATION_CERTIFICATE] in self.certificates

    def is_finished(self, memory: CardMemory) -> bool:
        """Whether the card is as it is after the whole flow."""
        return (
            memory.pin.tries_left == self.pin_attempts[-1]
            and memory.puk.tries_left == self.puk_attempts[-1]
            and memory.pin.value == piv.encode_pin(self.pins[-1])
            and memory.objects[ObjectId.PIV_AUTHENTICATION_CERTIFICATE] == self.certificates[-1]
        )


def _change_pin(session: PivSession) -> None:
    """Broken off before, the new PIN may be the card's already: shown again, it must be."""
    try:
        session.change_pin(PIN, NEW_PIN)
    except PinWrong:
        session.verify_pin(NEW_PIN)


def _fail_pin(session: PivSession) -> None:
    with pytest.raises(PinWrong):
        session.verify_pin(WRONG_PIN)


def _put_certificate(session: PivSession) -> None:
    session.authenticate_management(WELL_KNOWN_TRANSPORT_KEY)
    session.write(ObjectId.PIV_AUTHENTICATION_CERTIFICATE, NEW_CERTIFICATE)
    assert session.read(ObjectId.PIV_AUTHENTICATION_CERTIFICATE) == NEW_CERTIFICATE


# A card on which two attempts of each secret are spent already: to come back to all is to go up.
_SPENT = (PIN_TRIES - 2, PUK_TRIES - 2)
FLOWS = {
    "change PIN": Flow(_change_pin, (3, 2, PIN_TRIES), (_SPENT[1],), (PIN, NEW_PIN), (OLD_CERTIFICATE,)),
    # 3 is before, 2 after; nothing else, wherever it is cut
    "failed PIN": Flow(_fail_pin, (3, 2), (_SPENT[1],), (PIN,), (OLD_CERTIFICATE,)),
    "unblock": Flow(
        lambda session: session.unblock_pin(PUK, NEW_PIN),
        (3, PIN_TRIES),
        (8, 7, PUK_TRIES),
        (PIN, NEW_PIN),
        (OLD_CERTIFICATE,),
    ),
    "put certificate": Flow(
        _put_certificate, (_SPENT[0],), (_SPENT[1],), (PIN,), (OLD_CERTIFICATE, NEW_CERTIFICATE)
    ),
}


def prepare(path: Path, memory: CardMemory) -> Path:
    """A card in the state from which every flow starts."""
    used = replace(
        memory.with_object(ObjectId.PIV_AUTHENTICATION_CERTIFICATE, OLD_CERTIFICATE),
        pin=Secret(piv.encode_pin(PIN), _SPENT[0], PIN_TRIES),
        puk=Secret(PUK.encode(), _SPENT[1], PUK_TRIES),
    )
    CardState.create(path, used).close()
    return path


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the power fails; one of these."""

    before_command: int | None = None
    at_write: int | None = None
    write_is_kept: bool = False
    at_file_call: int | None = None

    def behaviour(self) -> Behaviour:
        """What a card is told for it."""
        return Behaviour(tear_at=self.at_write or NEVER, tear_kept=self.write_is_kept)


class TearingConnection(DirectConnection):
    """A CardConnection to a card that loses its power: whatever happens then, the card is gone."""

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """See CardConnection."""
        try:
            return super().transmit(command)
        except (CardTorn, PowerLoss) as lost:
            self.is_pulled = True
            raise CardRemoved("the power failed") from lost


@contextmanager
def _inserted(path: Path, cut: Cut) -> Iterator[TearingConnection]:
    state = CardState.load(path)
    card = ToldCard(state, Face.CONTACT, cut.behaviour())
    card.power_on()
    with TearingConnection(card, state) as connection:

        def pull(connection: DirectConnection, _: bytes) -> None:
            connection.is_pulled = connection.is_pulled or len(connection.sent) == cut.before_command

        connection.before = pull
        yield connection


def run_flow(flow: Flow, path: Path, cut: Cut) -> bool:
    """Run a flow into a cut, directly at the card; whether it came to its end."""
    lost = power_lost_at(cut.at_file_call) if cut.at_file_call is not None else nullcontext()
    with _inserted(path, cut) as connection:
        session = PivSession(connection)
        try:
            with lost:
                session.select()
                flow.run(session)
        except CardError:
            assert connection.is_pulled
            return False
        return True


def cuts(flow: Flow, path: Path) -> list[Cut]:
    """Every moment at which the power can fail in a flow, counted on a card on which it does not."""
    with _inserted(path, Cut()) as connection, power_lost_at(NEVER) as calls:
        session = PivSession(connection)
        session.select()
        flow.run(session)
        assert isinstance(connection.card, ToldCard)
        commands, writes = len(connection.sent), connection.card._writes
    assert flow.is_finished(read_memory(path))
    return [
        *(Cut(before_command=number) for number in range(commands)),
        *(
            Cut(at_write=number, write_is_kept=kept)
            for number in range(1, writes + 1)
            for kept in (False, True)
        ),
        *(Cut(at_file_call=number) for number in range(1, len(calls) + 1)),
    ]
