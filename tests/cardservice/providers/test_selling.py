"""A service that is somebody's is nobody else's, from then on and until it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from cardservice.database import Database
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId
from cardservice.providers.selling import begin_selling, end_selling, may_sell, read_sellers
from cardservice.providers.service import add_provider

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUSES, SCHOOL = ProviderId("buses"), ProviderId("school")


def test_who_may_sell_what_and_when(database: Database) -> None:
    with database.begin() as connection:
        for each in (BUSES, SCHOOL):
            add_provider(connection, each, each, actor="test", moment=NOW)
        begin_selling(connection, BUSES, "transport", actor="test", moment=NOW)
        with pytest.raises(OrderInvalid):
            begin_selling(connection, BUSES, "transport", actor="test", moment=NOW + HOUR)
        with pytest.raises(OrderInvalid):
            end_selling(connection, SCHOOL, "transport", actor="test", moment=NOW)
        end_selling(connection, BUSES, "transport", actor="test", moment=NOW + 2 * HOUR)
        sellers = read_sellers(connection)
    times = (NOW - HOUR, NOW, NOW + HOUR, NOW + 2 * HOUR)
    assert [may_sell(sellers, SCHOOL, "transport", at) for at in times] == [True, False, False, True]
    assert all(may_sell(sellers, BUSES, "transport", at) for at in times)
    assert all(may_sell(sellers, SCHOOL, "meals", at) for at in times)
