"""What a message costs the database: one transaction, and few statements in it.

What a statement costs is what bounds how many machines a core answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event

from cardservice.sip2.codec import Code, Message
from tests.cardservice.circulation.conftest import PIN
from tests.cardservice.sip2.acs import Machine
from tests.cardservice.sip2.conftest import Desk
from tests.cardservice.sip2.test_acs import BLANK, NOBODY, check_in, check_out, status

_ENDS = "end of a transaction"
WHO = (NOBODY, ("AA", "1001"))


@contextmanager
def counted(desk: Desk) -> Iterator[list[str]]:
    """The statements that are sent meanwhile, and where transactions end."""
    engine, seen = desk.town.context.database.engine, list[str]()

    def sent(_: object, __: object, statement: str, *___: object) -> None:
        # SQLite is told in words that a transaction begins.
        if not statement.startswith(("BEGIN", "PRAGMA query_only")):
            seen.append(statement)

    def ended(_: Connection) -> None:
        seen.append(_ENDS)

    listeners = (("before_cursor_execute", sent), ("commit", ended), ("rollback", ended))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)


def information(machine: Machine) -> Message:
    """64, with what they have."""
    asked = *WHO, ("AD", PIN)
    return machine.ask(Code.PATRON_INFORMATION, ("001", BLANK, "  Y       "), *asked)


def renew(machine: Machine) -> Message:
    """30."""
    return machine.ask(Code.RENEW, ("N", "N", BLANK, BLANK), *WHO, ("AB", "B2"))


def item(machine: Machine) -> Message:
    """18."""
    return machine.ask(Code.ITEM_INFORMATION, (BLANK,), NOBODY, ("AB", "B2"))


def poll(machine: Machine) -> Message:
    """98."""
    return machine.ask(Code.SC_STATUS, ("0", "080", "2.00"))


# The account's own state is one of each.
COSTS: tuple[tuple[str, Callable[[Machine], Message], int], ...] = (
    ("a status", lambda machine: status(machine, "1001", ("AD", PIN)), 4),
    ("a loan", lambda machine: check_out(machine, "1001", "B1"), 5),
    ("a loan with the PIN", lambda machine: check_out(machine, "1001", "B2", ("AD", PIN)), 6),
    ("information", information, 4),
    ("a return", lambda machine: check_in(machine, "B1"), 5),
    ("a copy", item, 2),
    ("a renewal that is refused", renew, 4),
    ("a poll", poll, 1),
)


def test_a_message_is_one_transaction_of_few_statements(desk: Desk) -> None:
    with desk.machine() as machine:
        # A PIN that was not seen yet takes longer, and a transaction more; terms are compiled once.
        status(machine, "1001", ("AD", PIN))
        for name, ask, at_most in COSTS:
            with counted(desk) as seen:
                ask(machine)
            statements = [each for each in seen if each != _ENDS]
            assert len(statements) <= at_most, (name, statements)
            assert seen.count(_ENDS) == 1, name


def test_a_pin_is_looked_at_outside_a_transaction(desk: Desk) -> None:
    """It takes a while, on purpose: what a machine shows first is looked at between two transactions."""
    with desk.machine() as machine, counted(desk) as seen:
        assert status(machine, "1001", ("AD", "0000"))["CQ"] == "N"
    assert seen.count(_ENDS) == 2
