"""What a message is decided on, read in one call: the same as statement by statement, of one moment."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from cardservice.authorisation import reading_core, reading_postgresql
from cardservice.authorisation.found import Found, Wanted
from cardservice.authorisation.reading import read_for_messages
from cardservice.database import connect, driver_of
from cardservice.ids import CardId, TransactionId
from cardservice.ledger.distributing import _function, _read_at_the_nodes
from cardservice.ledger.limits import NewLimit, set_limit
from cardservice.ledger.privacy import destroy_key
from tests.support.council import Card, Council, message, new_id, request_for
from tests.support.databases import ADMINISTRATOR, OWNER, DatabaseUrls

Change = Callable[[Council, Card, Wanted], Wanted]
URL = "/v1/authorisations"


def nothing(_: Council, __: Card, wanted: Wanted) -> Wanted:
    return wanted


def by_thumbprint(_: Council, card: Card, wanted: Wanted) -> Wanted:
    return replace(wanted, certificate_sha256=card.thumbprint)


def thumbprint_of_another_authority(council: Council, _: Card, wanted: Wanted) -> Wanted:
    """A terminal's certificate is no card's."""
    [found] = read_for_messages(council.context.database, [wanted])
    assert found.terminal is not None
    return replace(wanted, certificate_sha256=sha256(found.terminal.certificate_der).digest())


def unknown_card(_: Council, __: Card, wanted: Wanted) -> Wanted:
    return replace(wanted, card_id=CardId(new_id()))


def unknown_terminal(_: Council, __: Card, wanted: Wanted) -> Wanted:
    return replace(wanted, terminal_id="nobody")


def revoked_terminal(council: Council, _: Card, wanted: Wanted) -> Wanted:
    council.clock.advance(seconds=1)
    council.revoke_terminal("bus-12")
    return wanted


def revoked_card(council: Council, card: Card, wanted: Wanted) -> Wanted:
    council.clock.advance(seconds=1)
    council.revoke(card)
    return wanted


def erased_person(council: Council, card: Card, wanted: Wanted) -> Wanted:
    with council.context.database.begin() as connection:
        destroy_key(connection, card.holder, council.clock())
    return wanted


def other_payer(council: Council, card: Card, wanted: Wanted) -> Wanted:
    """From now on: the message was made before."""
    council.clock.advance(minutes=5)
    council.family(card, top_up_minor=700)
    return wanted


def other_payer_at_its_time(council: Council, card: Card, wanted: Wanted) -> Wanted:
    return replace(other_payer(council, card, wanted), time=council.clock())


def before_the_first_payer(_: Council, __: Card, wanted: Wanted) -> Wanted:
    return replace(wanted, time=wanted.time.replace(year=2020))


def limits(council: Council, card: Card, wanted: Wanted) -> Wanted:
    with council.context.database.begin() as connection:
        for amount_minor, holder in ((500, card.holder), (0, None)):
            new = NewLimit(card.payer, holder, "meals.day", amount_minor)
            set_limit(connection, new, council.clock(), council.clock())
    return wanted


def known_id(council: Council, card: Card, wanted: Wanted) -> Wanted:
    bus = council.terminal("bus-13")
    statement = request_for(bus, card)
    assert bus.post(URL, message(statement, card)).status == 200
    return replace(wanted, other=TransactionId(statement.id))


def no_tariff(_: Council, __: Card, wanted: Wanted) -> Wanted:
    return replace(wanted, service="parking")


def no_tariff_wanted(_: Council, __: Card, wanted: Wanted) -> Wanted:
    return replace(wanted, service=None)


def named_tariff(council: Council, _: Card, wanted: Wanted) -> Wanted:
    """Though another one is in force."""
    [found] = read_for_messages(council.context.database, [wanted])
    assert found.tariff is not None
    council.load_free_fares()
    return replace(wanted, tariff_version=found.tariff.version, time=council.clock())


def unknown_tariff(_: Council, __: Card, wanted: Wanted) -> Wanted:
    return replace(wanted, tariff_version="never heard of")


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        *(nothing, by_thumbprint, thumbprint_of_another_authority, unknown_card, unknown_terminal),
        *(revoked_terminal, revoked_card, erased_person, other_payer, other_payer_at_its_time),
        *(
            before_the_first_payer,
            limits,
            known_id,
            no_tariff,
            no_tariff_wanted,
            named_tariff,
            unknown_tariff,
        ),
    )
}


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_the_functions_read_what_the_statements_read(council: Council, database_urls: DatabaseUrls) -> None:
    """One card for each thing that can be different; all in one call, and by a cluster's functions, too."""
    bus = council.terminal("bus-12")
    wanted = []
    for change in CHANGES.values():
        card = council.card(top_up_minor=2000)
        wanted.append((change, card, _wanted(bus.id, card, council)))
    changed = [change(council, card, one) for change, card, one in wanted]
    database = council.context.database
    with database.reading() as connection:
        by_statements = reading_core.read(connection, changed)
    with database.posting_engine.connect() as connection:
        at_once = reading_postgresql.read(driver_of(connection), changed)
    # Settings of Citus are the administrator's to write down where there is none.
    administrator = connect(database_urls.owner.replace(f"://{OWNER}@", f"://{ADMINISTRATOR}@"))
    with administrator.begin() as connection:
        reading = _function(connection, "read_for_messages")
        assert reading is not None
        _read_at_the_nodes(connection, reading)
    administrator.dispose()
    with database.posting_engine.connect() as connection:
        divided = reading_postgresql.read(driver_of(connection), changed)
    for name, one, other, of_nodes in zip(CHANGES, at_once, by_statements, divided, strict=True):
        assert _sorted(one) == _sorted(other) == _sorted(of_nodes), name
    _check(dict(zip(CHANGES, at_once, strict=True)))


def _check(found: dict[str, Found]) -> None:
    """That the changes have changed something: two that read nothing would agree as well."""
    plain = found["nothing"]
    assert plain.terminal is not None
    assert plain.card is not None
    assert plain.key is not None
    assert plain.crl is not None
    assert plain.certificate is not None
    assert found["by_thumbprint"].certificate is not None
    assert found["thumbprint_of_another_authority"].certificate is None
    assert found["unknown_card"].card is None
    assert found["unknown_card"].views == {}
    assert found["unknown_terminal"].terminal is None
    assert found["revoked_card"].certificate is not None
    assert found["revoked_card"].certificate.revoked_at is not None
    assert found["erased_person"].key is not None
    assert found["erased_person"].key.wrapped is None
    assert [len(found[name].views) for name in ("nothing", "other_payer")] == [1, 2]
    first, second = found["other_payer"].views
    assert found["other_payer"].payer_id == first
    assert second != first
    assert found["other_payer_at_its_time"].payer_id == list(found["other_payer_at_its_time"].views)[1]
    assert found["before_the_first_payer"].payer_id in found["before_the_first_payer"].views
    [view] = found["limits"].views.values()
    assert [limit.amount_minor for limit in view.limits] == [500, 0]
    assert len(found["known_id"].known) == 1
    assert found["no_tariff"].tariff is found["no_tariff_wanted"].tariff is None
    assert found["named_tariff"].tariff != plain.tariff
    assert found["unknown_tariff"].tariff == plain.tariff


def _sorted(found: Found) -> Found:
    """Counters have no order."""
    views = {
        payer: replace(view, counters=tuple(sorted(view.counters, key=str)))
        for payer, view in found.views.items()
    }
    return replace(found, views=views)


def _wanted(terminal: str, card: Card, council: Council) -> Wanted:
    return Wanted(
        terminal_id=terminal,
        card_id=card.id,
        certificate_sha256=None,
        time=council.clock(),
        id=TransactionId(new_id()),
        other=None,
        service="transport",
        tariff_version=None,
    )
