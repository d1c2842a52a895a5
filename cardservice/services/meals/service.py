"""The service as the seam wants it: its action, and the way from a menu to a decision."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from marshmallow import Schema

from cardservice.services.catalogued import Catalogue
from cardservice.services.funded import Programme
from cardservice.services.kitchens import Dish, Portions
from cardservice.services.meals import orders, reasons, rules
from cardservice.services.meals.catalogue import catalogue
from cardservice.services.meals.details import CollectDetails, OrderDetails, SaleDetails
from cardservice.services.meals.loading import load_menu
from cardservice.services.meals.menu import Menu, prepare
from cardservice.services.meals.periods import (
    COLLECTED,
    DAY_LIMIT,
    ITEM_LIMIT,
    ORDERED,
    PROGRAMME,
    SERVICE_LIMIT,
    day_of_period,
    order_period,
)
from cardservice.services.meals.price_list import price_list
from cardservice.services.price_lists import Listed
from cardservice.services.seam import (
    Action,
    Ask,
    Decision,
    Holder,
    LoadedTariff,
    Quote,
    Refusal,
    View,
)

_DAY = timedelta(days=1)
# A supervisor's till may do all that a till may, and serve what a till must refuse.
_TILLS = frozenset({"till", "supervisor-till"})
_RETENTION = "meals"


def _action(name: str, roles: frozenset[str], schema: type[Schema]) -> Action:
    return Action(
        name=name,
        roles=roles,
        details_schema=schema,
        retention_class=_RETENTION,
        retention_days=100,  # a term: what a child ate
        # What is left of whose money would tell who pays.
        shows_balances=False,
        sees_allergens=True,
    )


SALE = _action(rules.SALE, _TILLS, SaleDetails)
_ACTIONS = (
    SALE,
    _action(rules.SERVE_ANYWAY, frozenset({"supervisor-till"}), SaleDetails),
    _action(rules.COLLECT, _TILLS, CollectDetails),
    _action(orders.ORDER, _TILLS, OrderDetails),
    _action(orders.CANCEL, _TILLS, OrderDetails),
)


class Meals:
    """School meals, from a menu."""

    name = "meals"
    actions: Mapping[str, Action] = MappingProxyType({action.name: action for action in _ACTIONS})
    limits: Mapping[str, str] = MappingProxyType(
        {
            DAY_LIMIT: "what is spent at school in a day",
            f"{SERVICE_LIMIT}*": "what is spent at one service, such as lunch, in a day",
            f"{ITEM_LIMIT}*": "how many pieces of an item are bought in a day; 0 blocks it",
        }
    )
    counted_limits = frozenset({f"{ITEM_LIMIT}*"})
    retention_class = _RETENTION
    ordered_rule, collected_rule = ORDERED, COLLECTED
    sale_actions = frozenset({rules.SALE, rules.SERVE_ANYWAY, rules.COLLECT})

    def details_schema(self, action: str) -> type[Schema]:
        """The schema of the action's details; KeyError where there is no such action."""
        return self.actions[action].details_schema

    def load(self, files: Sequence[Path], *, currency: str) -> LoadedTariff:
        """Read a menu (one .json file), and a file of programmes if there is one; raises TariffError."""
        return load_menu(files, currency)

    def prepare(self, content: Mapping[str, object]) -> Menu:
        """The menu of a stored content."""
        return prepare(content)

    def quote(self, ask: Ask, holder: Holder | None, tariff: object) -> Quote | Refusal:
        """The price of what is on the tray: what a person is given towards it shows nowhere."""
        if ask.action in (orders.ORDER, orders.CANCEL):
            return orders.quote_order(ask, holder, _menu(tariff))
        return rules.quote(ask, holder, _menu(tariff))

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether the sale or the order is approved, and what it costs."""
        if ask.action in (orders.ORDER, orders.CANCEL):
            return orders.decide_order(ask, holder, view, _menu(tariff))
        return rules.decide(ask, holder, view, _menu(tariff))

    def programmes(self, tariff: object) -> Sequence[Programme]:
        """Who pays towards meals."""
        return _menu(tariff).programmes

    def programme_rule(self, programme: str) -> str:
        """Under which rule it is counted what a programme has paid in a day."""
        return f"{PROGRAMME}{programme}"

    def dish_of(self, period: str) -> Dish:
        """What an order's counter is of."""
        _, service, item = period.split("/")
        return Dish(day_of_period(period), service, item)

    def periods_of(self, day: date) -> str:
        """What the periods of a day's orders begin with."""
        return order_period(day, "", "").rstrip("/") + "/"

    def portions_of(self, details: Mapping[str, Any], inputs: Mapping[str, Any]) -> Sequence[Portions]:
        """What was on a tray."""
        day, recipes = date.fromisoformat(inputs["day"]), inputs.get("recipes", {})
        return [
            Portions(
                Dish(day, details["service"], part["item"]), part["quantity"], recipes.get(part["item"], "")
            )
            for part in details["items"]
        ]

    def counter_is_over(self, rule: str, period: str, moment: datetime) -> bool:
        """Whether the day of what was counted has ended, by whichever clock."""
        del rule
        return moment.date() > day_of_period(period) + _DAY

    def refusal_to_return(self, tariff: object, sold_at: datetime, moment: datetime) -> Refusal | None:
        """A till gives back on the same day, by the school's clock, while programmes' day still counts."""
        menu = _menu(tariff)
        if menu.day_of(sold_at) == menu.day_of(moment):
            return None
        message = "A till gives back meals of the same day. Ask the office."
        return Refusal(reason=reasons.RETURN_TOO_LATE, message=message)

    def resource_is_over(self, key: str, moment: datetime) -> bool:
        """Nothing at school is there only so much of."""
        del key, moment
        return False

    def catalogue(self, tariff: object, moment: datetime) -> Catalogue | Refusal:
        """What is on the menu from a moment on."""
        return catalogue(_menu(tariff), SALE.name, moment)

    def price_list(self, tariff: object) -> tuple[Listed, ...]:
        """All that a tariff says, for people who compare two."""
        return price_list(_menu(tariff))


def _menu(tariff: object) -> Menu:
    if not isinstance(tariff, Menu):
        raise TypeError(f"not a prepared menu: {type(tariff).__name__}")
    return tariff
