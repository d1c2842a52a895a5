"""Many cards revoked at once: a list that was checked as a whole, in portions that may be done twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from cardservice.cards.service import AUTHORITY, find_card, revoke_card
from cardservice.cards.states import CardState
from cardservice.context import Context
from cardservice.errors import OrderInvalid

MOST = 10_000
_MOST_BYTES = 8 * 1024 * 1024
# In one transaction, each with a fresh revocation list at its end.
_AT_ONCE = 200


def read_list(file: Path) -> list[UUID]:
    """The cards that a file names, one a line. Raises OrderInvalid, which names the line."""
    if file.stat().st_size > _MOST_BYTES:
        raise OrderInvalid(f"{file} is too large for {MOST} cards")
    found: dict[UUID, int] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            card = UUID(line.decode("ascii").strip())
        except ValueError:
            raise OrderInvalid(f"{file.name}:{number}: is no card's identifier") from None
        if card in found:
            raise OrderInvalid(f"{file.name}:{number}: the card {card} is on line {found[card]}, too")
        found[card] = number
    if not 0 < len(found) <= MOST:
        raise OrderInvalid(f"{file.name}: names {len(found)} cards; it is between 1 and {MOST}")
    return list(found)


def require_known(connection: Connection, cards: Sequence[UUID]) -> None:
    """Raises OrderInvalid for the first card that this scheme does not know."""
    for number, card in enumerate(cards, start=1):
        if find_card(connection, card) is None:
            raise OrderInvalid(f"line {number}: no card {card}")


def revoke(context: Context, cards: Sequence[UUID], reason: str, *, actor: str) -> int:
    """Revoke what of these cards is not revoked yet; how many."""
    count = 0
    for first in range(0, len(cards), _AT_ONCE):
        with context.database.begin() as connection:
            authority, moment = context.authority(AUTHORITY, connection), context.now()
            for card in cards[first : first + _AT_ONCE]:
                known = find_card(connection, card)
                if known is not None and known.state is not CardState.REVOKED:
                    how: dict[str, Any] = {"reason": reason, "actor": actor, "moment": moment}
                    revoke_card(connection, authority, card, **how, publish=False)
                    count += 1
            authority.make_crls(moment)
    return count
