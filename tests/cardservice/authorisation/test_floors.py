"""The floor without a cliff: what prepaid pays, what ends in arrears, and what is not sold."""

from uuid import UUID

import pytest

from cardservice.authorisation.money import pay, shortfall
from cardservice.ids import PayerId, ProviderId
from cardservice.ledger.values import AccountView, PayerView
from cardservice.services.seam import Line

PROVIDER = ProviderId("kitchen")
MAIN, SNACK = True, False


def payer(balance: int, floor: int = 0) -> PayerView:
    """A payer with so much money."""
    prepaid = AccountView("prepaid", "", "", "GBP", balance, floor)
    return PayerView(PayerId(UUID(int=1)), 1, (AccountView("arrears", "", "", "GBP", 0, None), prepaid))


def sale(*lines: tuple[int, bool]) -> list[Line]:
    """Lines of these amounts, with whether each may end in arrears."""
    return [Line(label="x", amount_minor=amount, may_end_in_arrears=may) for amount, may in lines]


# services.md: the test is balance after the sale >= floor, and a main meal may always end below it.
@pytest.mark.parametrize(
    ("balance", "floor", "lines", "lacks"),
    [
        (250, 0, sale((250, SNACK)), 0),
        (249, 0, sale((250, SNACK)), 1),
        (249, 0, sale((250, MAIN)), 0),
        (0, 0, sale((250, MAIN)), 0),
        (0, 0, sale((250, MAIN), (250, MAIN)), 0),
        (0, 0, sale((0, SNACK)), 0),
        (0, 0, sale((250, MAIN), (0, SNACK)), 0),
        (0, 0, sale((0, MAIN), (1, SNACK)), 1),
        (330, 0, sale((250, MAIN), (80, SNACK)), 0),
        (329, 0, sale((250, MAIN), (80, SNACK)), 1),
        (329, 0, sale((80, SNACK), (250, MAIN)), 1),
        (-170, -500, sale((330, SNACK)), 0),
        (-171, -500, sale((330, SNACK)), 1),
        (330, 1, sale((330, SNACK)), 1),
        (0, 0, sale(), 0),
    ],
)
def test_shortfall(balance: int, floor: int, lines: list[Line], lacks: int) -> None:
    assert shortfall(payer(balance, floor), lines) == lacks


@pytest.mark.parametrize(
    ("balance", "lines", "expected"),
    [
        (330, sale((250, MAIN), (80, SNACK)), [("prepaid", 250), ("prepaid", 80)]),
        (100, sale((250, MAIN)), [("prepaid", 100), ("arrears", 150)]),
        (0, sale((250, MAIN)), [("arrears", 250)]),
        # An advice: what may end in arrears is paid first, whatever the order of the receipt.
        (250, sale((80, SNACK), (250, MAIN)), [("prepaid", 250), ("arrears", 80)]),
        (0, sale((0, SNACK)), []),
    ],
)
def test_sources(balance: int, lines: list[Line], expected: list[tuple[str, int]]) -> None:
    transfers = pay(payer(balance), lines, PROVIDER, "GBP")
    assert [(move.debit.removeprefix("payer:"), move.amount_minor) for move in transfers] == expected
