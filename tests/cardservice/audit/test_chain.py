"""The audit trail's chain: whatever is changed or taken out is found, and erasing a person is no change."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from cardservice.audit import chain
from cardservice.audit.chain import Head, Verified
from cardservice.audit.models import audit, audit_head, audit_link
from cardservice.audit.service import record
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.context import Context
from cardservice.database import Database
from cardservice.upkeep import keep_up
from tests.support.council import Council


def written(context: Context, count: int) -> None:
    """Entries about somebody."""
    for number in range(count):
        with context.database.begin() as connection:
            detail = {"é": number, "b": None, "a": [1, "x"]}
            record(connection, "staff:ann", "card.show", uuid4(), context.now(), **detail)


def verified(database: Database, reached: Head | None = None) -> Verified:
    """What a look at it finds."""
    with database.reading() as connection:
        return chain.verify(connection, reached)


def test_entries_are_linked_once(context: Context) -> None:
    """By the worker, in portions, whatever comes meanwhile."""
    written(context, 3)
    keep_up(context)
    first = verified(context.database)
    assert (first.findings, first.waiting) == ((), 0)
    written(context, 2)
    assert verified(context.database).waiting == 2
    assert chain.lengthen(context.database, context.now()) == 2
    assert chain.lengthen(context.database, context.now()) == 0
    found = verified(context.database, first.head)
    assert (found.findings, found.entries) == ((), first.entries + 2)
    assert Head.parse(str(found.head)) == found.head
    for text in ("", "1:", "x:" + "0" * 64, "1:" + "0" * 63):
        with pytest.raises(ValueError, match="is no head"):
            Head.parse(text)


def _last(connection: Connection) -> int:
    return int(connection.execute(select(func.max(audit_link.c.sequence))).scalar_one())


def _second(connection: Connection) -> int:
    return int(
        connection.execute(select(audit_link.c.audit_id).where(audit_link.c.sequence == 2)).scalar_one()
    )


def _cut(connection: Connection) -> None:
    last = _last(connection)
    connection.execute(delete(audit_link).where(audit_link.c.sequence == last))


def _cut_with_head(connection: Connection) -> None:
    _cut(connection)
    row = connection.execute(
        select(audit_link.c.sequence, audit_link.c.sha256).order_by(audit_link.c.sequence.desc()).limit(1)
    ).one()
    connection.execute(update(audit_head).values(sequence=row.sequence, sha256=row.sha256))


CHANGES: dict[str, tuple[Callable[[Connection], object], str]] = {
    "actor": (
        lambda on: on.execute(update(audit).where(audit.c.id == _second(on)).values(actor="staff:ben")),
        "is not what was linked",
    ),
    "detail": (
        lambda on: on.execute(update(audit).where(audit.c.id == _second(on)).values(detail={"a": 2})),
        "is not what was linked",
    ),
    "subject": (
        lambda on: on.execute(update(audit).where(audit.c.id == _second(on)).values(subject="another")),
        "is about something else",
    ),
    "salt": (
        lambda on: on.execute(update(audit_link).where(audit_link.c.sequence == 2).values(salt=None)),
        "nobody was erased",
    ),
    "a link": (
        lambda on: on.execute(delete(audit_link).where(audit_link.c.sequence == 2)),
        "link 2 is missing",
    ),
    "the end": (_cut, "its end was cut off"),
    "the end and the head": (_cut_with_head, "does not hold"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_is_found(change: str, context: Context, owner_database: Database) -> None:
    """By whoever owns the tables: the service's own role may do none of it."""
    written(context, 4)
    chain.lengthen(context.database, None)
    head = verified(context.database).head
    tamper, words = CHANGES[change]
    with owner_database.begin() as connection:
        tamper(connection)
    assert any(words in finding for finding in verified(context.database, head).findings)


def test_erasing_a_person_leaves_the_chain(context: Context, council: Council) -> None:
    """The subject goes and its salt; the chain holds, and says how many have lost theirs."""
    holder = council.card().holder
    with context.database.begin() as connection:
        record(connection, "cli:ann", "cardholder.show", holder, context.now())
    chain.lengthen(context.database, None)
    head = verified(context.database).head
    erase_cardholder(context, holder, actor="test")
    chain.lengthen(context.database, None)
    found = verified(context.database, head)
    assert found.findings == ()
    assert found.erased >= 1
    with context.database.reading() as connection:
        assert not connection.execute(select(audit).where(audit.c.subject == str(holder))).all()


def test_an_old_entry_is_linked_by_verify(context: Context) -> None:
    """The worker looks at a day; what is older and unlinked is found by who looks at everything."""
    with context.database.begin() as connection:
        values = {"actor": "x", "action": "y", "subject": "z", "detail": {}}
        connection.execute(insert(audit).values(at=context.now().replace(year=2020), **values))
    chain.lengthen(context.database, context.now())
    assert verified(context.database).waiting == 1
    chain.lengthen(context.database, None)
    assert (verified(context.database).waiting, verified(context.database).findings) == (0, ())
