"""Letters with the codes that activate cards: one file a batch, to be printed; a code stands nowhere else.

A letter never goes where its card goes by the same post: cards for pupils go to the school and their letters
home. Of whom nobody may know the address, the letter is handed over at a desk, like the card.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.bureau.orders import HOLDER, Batch, where_to
from cardservice.cards.activation import dispatch_on
from cardservice.cards.personalisation import require_order
from cardservice.cards.service import Card, require_card
from cardservice.cards.states import CardState
from cardservice.context import Context
from cardservice.errors import OrderInvalid

# ECMA-48, 8.3.51: a printer begins the next page.
_NEXT_PAGE = "\f"


@dataclass(frozen=True, slots=True)
class Letter:
    """A page with a code, and whether it has an address; else it is handed over at a desk."""

    text: str
    has_address: bool


@dataclass(frozen=True, slots=True)
class Letters:
    """How many letters were written, and how many of them are to be handed over at a desk."""

    written: int
    at_desk: int


def write_letters(context: Context, batch: Batch, out: Path, *, actor: str, again: bool = False) -> Letters:
    """Send the cards of a batch that are made, and write a letter with a code for each.

    `again`: also for those that were sent and are not active; their former codes are void. The file is on the
    disk before the codes hold, and is its owner's alone; it must not be there. Raises OrderInvalid, OSError.
    """
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file, context.database.begin() as connection:
            told = list(_letters(context, connection, batch, _wanted(again=again), actor))
            file.write(_NEXT_PAGE.join(each.text for each in told))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        # None of its codes holds.
        out.unlink()
        raise
    return Letters(len(told), sum(not each.has_address for each in told))


def tell_letters(context: Context, batch: Batch, *, actor: str, again: bool = False) -> list[Letter]:
    """The same, told to whoever prints them. What was lost on the way is told `again`: by other codes."""
    with context.database.begin() as connection:
        return list(_letters(context, connection, batch, _wanted(again=again), actor))


def _wanted(*, again: bool) -> Collection[CardState]:
    return {CardState.PERSONALISED} | ({CardState.DISPATCHED} if again else set())


def _letters(
    context: Context, connection: Connection, batch: Batch, wanted: Collection[CardState], actor: str
) -> Iterator[Letter]:
    """Raises OrderInvalid where there is none at all."""
    cards = [require_card(connection, require_order(connection, each).card_id) for each in batch.orders]
    waiting = [each for each in cards if each.state in wanted]
    if not waiting:
        raise OrderInvalid("no card of this batch waits for its letter")
    for each in waiting:
        yield _letter(context, connection, each, actor)


def _letter(context: Context, connection: Connection, card: Card, actor: str) -> Letter:
    code = dispatch_on(context, connection, card.id, actor=actor)
    where = where_to(context, connection, card.cardholder_id, HOLDER)
    record(connection, actor, "cardholder.print", card.cardholder_id, context.now())
    address = [str(where["name"]), *where["lines"]] if "lines" in where else ["To be handed over at the desk"]
    words = [
        *address,
        "",
        f"{context.scheme.name}: your {card.kind} card",
        "",
        f"Your card, whose number ends in {card.id.hex[:20][-4:].upper()}, comes by itself.",
        "Activate it with this code before you use it, on our pages, by telephone or at any desk:",
        "",
        f"    {code}",
        "",
        "The code holds for six weeks. Nobody of us will ever ask you for it. If the card does not come,",
        "tell us: nobody can use it without this letter.",
    ]
    return Letter("\n".join(words) + "\n", "lines" in where)
