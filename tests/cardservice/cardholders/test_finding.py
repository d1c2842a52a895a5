"""People are found by what only the service can read; a copy of the database names nobody."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import LargeBinary, Text, Uuid, column, insert, select, table, text

from cardservice.audit.models import audit
from cardservice.cardholders import details, finding
from cardservice.cardholders.accesses import READS, accesses
from cardservice.cardholders.adding import add_cardholders
from cardservice.cardholders.changing import write_many
from cardservice.cardholders.details import Address, Contact, Noting
from cardservice.cardholders.finding import MAX_FOUND, find
from cardservice.cardholders.guardians import Days, bar
from cardservice.cardholders.models import cardholder, cardholder_token
from cardservice.cardholders.records import index_some, read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import NewCardholder, add_cardholder, profile_of, set_photo
from cardservice.cardholders.tokens import Wanted
from cardservice.database import Database, UtcDateTime, connect, migrate
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.privacy import rewrap, wrapped_under
from tests.support.council import ACTOR, Council
from tests.support.databases import DatabaseUrls

# Long enough that nothing has them by chance, in any writing of bytes.
NAME, TOWN, STREET = "Wilhelmina Featherstonehaugh", "Kirkby Ravensworth-on-Sea", "Old Embankment Terrace"
EMAIL, FORM = "w.featherstonehaugh@embankment.example", "Form Kestrel 9B"
BORN, UPRN, POSTCODE = date(1987, 11, 23), "100062345917", "QX37 9ZW"
JPEG = b"a picture of Wilhelmina Featherstonehaugh"
ORDER = "Order of the Family Court at Kirkby 17/2026"
SECRETS = (ORDER, NAME, TOWN, STREET, EMAIL, FORM, BORN.isoformat(), UPRN, POSTCODE, JPEG.decode())
MOMENT = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)


def add(council: Council, name: str, **known: Any) -> CardholderId:
    """Somebody of this name, with what else is known."""
    with council.context.database.begin() as connection:
        new = NewCardholder(name, "adult", known.get("form"), known.get("allergens", ()))
        holder, _ = add_cardholder(connection, new, "GBP", council.kek, actor=ACTOR, moment=council.clock())
        noting = Noting(council.kek, holder, ACTOR, council.clock(), council.zone)
        if "born_on" in known:
            details.set_born_on(connection, noting, known["born_on"])
        if "address" in known:
            details.set_address(connection, noting, known["address"])
        if "contact" in known:
            details.set_contact(connection, noting, known["contact"])
        if "photo" in known:
            set_photo(connection, council.kek, holder, known["photo"], actor=ACTOR, moment=council.clock())
    return holder


def names(council: Council, wanted: Wanted) -> list[str]:
    """The names of those who are found."""
    with council.context.database.begin() as connection:
        found = find(connection, council.kek, wanted, actor=ACTOR, moment=council.clock())
    return [each.name for each in found.people]


@pytest.fixture
def wilhelmina(council: Council) -> CardholderId:
    """Of whom everything is known."""
    address = Address(uprn=UPRN, paon="7", street=STREET, town=TOWN, postcode=POSTCODE)
    return add(
        council,
        NAME,
        form=FORM,
        allergens=["molluscs"],
        born_on=BORN,
        address=address,
        contact=Contact(email=EMAIL),
        photo=JPEG,
    )


def everything(urls: DatabaseUrls) -> Iterator[bytes]:
    """All that a copy of the database has: the file on SQLite, every row as text on PostgreSQL."""
    database = connect(urls.owner)
    try:
        if urls.kind == "sqlite":
            with database.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            path = Path(urls.owner.removeprefix("sqlite:///"))
            yield from (file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
            return
        with database.reading() as connection:
            tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
            for name in tables.all():
                rows = connection.scalars(text(f'SELECT row_to_json(t)::text FROM "{name}" AS t'))  # noqa: S608
                yield from (row.encode() for row in rows)
    finally:
        database.dispose()


def readable(urls: DatabaseUrls) -> set[str]:
    """Which of the secrets stand there, as they are or as PostgreSQL writes bytes."""
    copies = list(everything(urls))
    assert copies
    return {
        each
        for each in SECRETS
        if any(each.encode() in copy or each.encode().hex().encode() in copy for copy in copies)
    }


def test_a_copy_of_the_database_names_nobody(
    council: Council, wilhelmina: CardholderId, database_urls: DatabaseUrls
) -> None:
    """Neither name nor address nor date; what stands there in clear is found: the search finds."""
    other = add(council, "Somebody Else")
    with council.context.database.begin() as connection:
        noting = Noting(council.kek, wilhelmina, ACTOR, council.clock(), council.zone)
        bar(connection, noting, other, ORDER, Days(MOMENT.date()))
    with council.context.database.begin() as connection:
        connection.execute(
            insert(audit).values(at=MOMENT, actor=NAME, action="test", subject="test", detail={})
        )
    assert readable(database_urls) == {NAME}
    with council.context.database.reading() as connection:
        known = read_fields(connection, council.kek, wilhelmina)
    assert (known[Field.NAME], known[Field.BORN_ON], known[Field.PHOTO]) == (NAME, "1987-11-23", JPEG)
    assert known[Field.ADDRESS]["uprn"] == UPRN


def test_who_is_found_and_noted_as_seen(council: Council, wilhelmina: CardholderId) -> None:
    """By any of it; who is not among them was not seen."""
    other = add(council, "Wilfred Feather", born_on=BORN)
    assert names(council, Wanted("wil fea")) == ["Wilfred Feather", NAME]
    assert names(council, Wanted("wilhelm feath", born_on="1987-11-23", postcode="qx37")) == [NAME]
    assert names(council, Wanted("Vilhelmina", sounds_like=True, postcode=POSTCODE)) == []
    assert names(council, Wanted("wil", postcode="QX36")) == []
    for wanted in (Wanted(), Wanted(" - "), Wanted(name="")):
        with pytest.raises(OrderInvalid, match="say whom"):
            names(council, wanted)
    with council.context.database.reading() as connection:
        seen = [
            [(each.actor, each.action) for each in accesses(connection, holder) if each.is_read]
            for holder in (wilhelmina, other)
        ]
    assert seen == [[(ACTOR, "cardholder.find")] * 2, [(ACTOR, "cardholder.find")]]


def test_what_is_changed_is_found_by_what_it_is_now(council: Council, wilhelmina: CardholderId) -> None:
    """And no longer by what it was."""
    with council.context.database.begin() as connection:
        noting = Noting(council.kek, wilhelmina, ACTOR, council.clock(), council.zone)
        details.set_address(connection, noting, Address(postcode="AB1 2CD"))
        details.set_born_on(connection, noting, None)
    assert names(council, Wanted(postcode="AB1")) == [NAME]
    assert names(council, Wanted(postcode=POSTCODE)) == names(council, Wanted(born_on="1987-11-23")) == []


def test_many_who_are_changed_at_once_are_as_if_each_had_been(council: Council) -> None:
    """What is given takes the place of what was, or takes it away; all else stays."""
    people = [add(council, f"Robin Number{number}", form="5B", born_on=BORN) for number in range(22)]
    changes: dict[CardholderId, dict[Field, Any]] = {each: {Field.NAME: "Kim Reed"} for each in people[:21]}
    changes[people[21]] = {Field.FORM: None, Field.BORN_ON: None}
    with council.context.database.begin() as connection:
        write_many(connection, council.kek, changes, council.clock())
    with council.context.database.reading() as connection:
        known = read_fields(connection, council.kek, people[0])
        last = read_fields(connection, council.kek, people[21])
    assert (known[Field.NAME], known[Field.FORM], known[Field.BORN_ON]) == (
        "Kim Reed",
        "5B",
        BORN.isoformat(),
    )
    assert (last[Field.NAME], Field.FORM in last, Field.BORN_ON in last) == ("Robin Number21", False, False)
    assert names(council, Wanted("kim", born_on=BORN.isoformat())) == ["Kim Reed"] * 21
    assert names(council, Wanted("robin")) == ["Robin Number21"]
    assert names(council, Wanted("robin", born_on=BORN.isoformat())) == []


def test_no_more_are_shown_than_anybody_needs(council: Council) -> None:
    """Whoever looks for half a town sees a page of it."""
    for number in range(MAX_FOUND + 3):
        add(council, f"Robin Number{number}")
    with council.context.database.begin() as connection:
        found = find(connection, council.kek, Wanted("robin"), actor=ACTOR, moment=MOMENT)
        all_of_them = find(connection, council.kek, Wanted("robin number7"), actor=ACTOR, moment=MOMENT)
    assert (len(found.people), found.more) == (MAX_FOUND, True)
    assert "date of birth" in (found.hint or "")
    assert (len(all_of_them.people), all_of_them.more, all_of_them.hint) == (1, False, None)


def test_nobody_is_missed_without_a_word(council: Council, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the whole name is shown, however many begin like them; whoever is not shown is told of.

    More share eight letters here than are looked at, and of the others the index knows the whole alone.
    """
    monkeypatch.setattr(finding, "_MAX_READ", 12)
    monkeypatch.setattr(finding, "_MAX_READ_LONG", 12)
    people = [f"Robin Longbottom{chr(97 + number)}" for number in range(14)]
    for name in [*people, "Robin Longbottom"]:
        add(council, name)
    add(council, "Robin Longbott", born_on=BORN)

    def search(wanted: Wanted) -> tuple[list[str], bool]:
        with council.context.database.begin() as connection:
            found = find(connection, council.kek, wanted, actor=ACTOR, moment=MOMENT)
        return [each.name for each in found.people], found.more

    for name in [*people, "Robin Longbottom"]:
        shown, more = search(Wanted(name.upper()))
        assert shown[0] == name
        assert more
    shown, more = search(Wanted("longbotto"))
    assert more
    assert len(shown) >= 11
    assert search(Wanted("longbotto", born_on=BORN.isoformat())) == ([], False)
    assert search(Wanted("longbott", born_on=BORN.isoformat())) == (["Robin Longbott"], False)


def test_who_has_the_whole_name_comes_first(council: Council) -> None:
    for name in ("Anna Leeming", "Ann Lee", "Ann-Marie Lee"):
        add(council, name)
    assert names(council, Wanted("ann lee")) == ["Ann Lee", "Ann-Marie Lee", "Anna Leeming"]


def test_a_new_version_of_the_key_while_people_are_looked_for(
    council: Council, wilhelmina: CardholderId
) -> None:
    """At each moment everybody is found and read; what is added meanwhile, too."""
    for number in range(30):
        add(council, f"Robin Number{number}")
    database, old = council.context.database, council.kek
    both = KeyRing({1: old.key(1), 2: bytes(range(32))})
    # Another process, which has not heard of the second version until it meets it.
    slow = KeyRing({1: old.key(1)}, lambda version: bytes(range(32)) if version == 2 else None)
    done, misses = Event(), []

    def look() -> int:
        rounds = 0
        while not done.is_set() or rounds < 3:
            with database.begin() as connection:
                found = find(connection, slow, Wanted("wilhel"), actor=ACTOR, moment=MOMENT)
            misses.extend([] if [each.id for each in found.people] == [wilhelmina] else [found])
            rounds += 1
        return rounds

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            while _some(database, both, rewrap) + _some(database, both, index_some):
                pass
        finally:
            done.set()
        assert looking.result() >= 3
    assert misses == []
    newest = KeyRing({2: bytes(range(32))})
    with database.begin() as connection:
        assert profile_of(connection, newest, wilhelmina).name == NAME
        assert len(find(connection, newest, Wanted("wilhel"), actor=ACTOR, moment=MOMENT).people) == 1
        assert set(connection.scalars(select(cardholder.c.index_version))) == {2}


def test_who_is_new_is_kept_under_a_version_that_another_process_has_made(council: Council) -> None:
    """By a process that has met nothing of it: the version before may be destroyed once all else is anew."""
    old, second = council.kek.key(1), bytes(range(32))
    unaware = KeyRing({1: old}, {2: second}.get)
    new, moment = NewCardholder("Robin New", "adult"), council.clock()
    many = {CardholderId(new_id()): {Field.NAME: "Robin Other"}}
    with council.context.database.begin() as connection:
        holder, _ = add_cardholder(connection, new, "GBP", unaware, actor=ACTOR, moment=moment)
        # Others may have come and gone since then.
        again = KeyRing({1: old}, {2: second, 4: bytes(32)}.get)
        add_cardholders(connection, many, "adult", "GBP", again, actor=ACTOR, moment=moment)
        newest = KeyRing({2: second, 4: bytes(32)})
        found = find(connection, newest, Wanted("robin"), actor=ACTOR, moment=moment)
        assert {each.id for each in found.people} == {holder, *many}
        assert wrapped_under(connection) == {2: 1, 4: 1}


def _some(database: Database, ring: KeyRing, step: Any) -> int:
    with database.begin() as connection:
        return int(step(connection, ring, 7))


def test_each_way_of_reading_is_told_to_the_person() -> None:
    """What is written down as done with a record, and changes nothing, is a read."""
    root = Path(__file__).parents[3] / "cardservice"
    modules = [path for path in root.rglob("*.py") if path.name not in {"accesses.py", "grants.py"}]
    said = re.findall(r'"(cardholder\.[a-z_]+)"', "\n".join(path.read_text("utf-8") for path in modules))
    changes = {"cardholder.add", "cardholder.set", "cardholder.erase", "cardholder.id"}
    assert set(said) - changes == {action for action in READS if action.startswith("cardholder.")}


def test_records_of_before_are_sealed(empty_database_urls: DatabaseUrls) -> None:
    """By the migration, with the key; nothing of them is left, and back again they are what they were."""
    urls, kek = empty_database_urls, KeyRing.of(bytes(32))
    migrate(urls.owner, "0031")
    holder, types = CardholderId(new_id()), _types()
    rows: tuple[tuple[str, dict[str, Any]], ...] = (
        ("cardholder", {"id": holder, "name": NAME, "category": "adult", "form": FORM, "created_at": MOMENT}),
        ("dietary_need", {"cardholder_id": holder, "allergen": "molluscs"}),
        ("cardholder_photo", {"cardholder_id": holder, "jpeg": JPEG}),
    )
    database = connect(urls.owner)
    with database.begin() as connection:
        for name, values in rows:
            columns: list[Any] = [column(each, types.get(each, Text())) for each in values]
            connection.execute(insert(table(name, *columns)).values(**values))
    database.dispose()
    assert readable(urls) == {NAME, FORM, JPEG.decode()}
    with pytest.raises(RuntimeError, match="cardservice init"):
        migrate(urls.owner)
    migrate(urls.owner, kek=kek)
    assert readable(urls) == set()
    database = connect(urls.owner)
    with database.begin() as connection:
        profile = profile_of(connection, kek, holder)
        assert connection.scalars(select(cardholder_token.c.token)).all()
        found = find(connection, kek, Wanted("feat"), actor=ACTOR, moment=MOMENT)
    assert [each.id for each in found.people] == [holder]
    assert (profile.name, profile.form, profile.allergens, profile.photo) == (NAME, FORM, ("molluscs",), JPEG)
    database.dispose()
    migrate(urls.owner, "0031", kek)
    assert readable(urls) == {NAME, FORM, JPEG.decode()}
    migrate(urls.owner, kek=kek)
    assert readable(urls) == set()


def _types() -> dict[str, Any]:
    """Of the columns of before that are no text."""
    return {"id": Uuid(), "cardholder_id": Uuid(), "jpeg": LargeBinary(), "created_at": UtcDateTime()}
