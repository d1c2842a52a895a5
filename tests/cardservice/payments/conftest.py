"""The payment provider's stand-in, and a client of it."""

from collections.abc import Iterator

import pytest

from cardservice.payments.govuk_pay import GovUkPay
from kiosk.pay_stand_in import Pay
from tests.cardservice.payments.pay import served


@pytest.fixture
def pay() -> Pay:
    """The provider's account."""
    return Pay()


@pytest.fixture
def provider(pay: Pay) -> Iterator[GovUkPay]:
    """A client of it."""
    with served(pay) as client:
        yield client
