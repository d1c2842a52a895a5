"""PIN and PUK of a card that is made: the maker's PUK is replaced by the card's own, and a new PIN is set."""

import secrets
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from reader_agent.errors import PinBlocked, PinWrong, PukRefused
from reader_agent.piv.session import PivSession

PIN_DIGITS: Final = 6
RandomBelow = Callable[[int], int]


def new_pin(random_below: RandomBelow = secrets.randbelow) -> str:
    """Six random digits, none of the few that everybody tries first (FIPS 201-3, 2.9.3)."""
    while True:
        pin = f"{random_below(10**PIN_DIGITS):0{PIN_DIGITS}}"
        if not _is_a_run(pin):
            return pin


def set_references(
    session: PivSession, own_puk: str, transport_puk: str, pin: str, *, is_begun: bool
) -> None:
    """Give the card its own PUK, and this PIN, which it then takes.

    A PUK is not asked for but tried. Each wrong one costs an attempt of ten, and the right one brings them
    all back; so what is likelier comes first. Raises PukRefused where the card takes neither.
    """
    taken = _unblock(session, (own_puk, transport_puk) if is_begun else (transport_puk, own_puk), pin)
    if taken != own_puk:
        session.change_puk(taken, own_puk)
        # Proves that the card has it now: with a lost PUK no desk could ever set another PIN.
        session.unblock_pin(own_puk, pin)
    session.verify_pin(pin)


def clear_references(session: PivSession, own_puk: str, transport_puk: str) -> None:
    """Give the maker's PUK back, and leave a PIN that nobody knows. Raises PukRefused."""
    if _unblock(session, (own_puk, transport_puk), new_pin()) == own_puk:
        session.change_puk(own_puk, transport_puk)


def _unblock(session: PivSession, puks: tuple[str, ...], pin: str) -> str:
    """The PUK that the card has taken to set the PIN."""
    for puk in puks:
        try:
            session.unblock_pin(puk, pin)
        except PinWrong:
            continue
        except PinBlocked:
            break
        return puk
    raise PukRefused


def _is_a_run(pin: str) -> bool:
    """One digit throughout, or digits one after the other, up or down."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return len(steps) == 1 and steps <= {0, 1, 9}
