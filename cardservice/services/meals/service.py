"""The service as the seam wants it: its action, and the way from a menu to a decision."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from marshmallow import Schema

from cardservice.services.catalogued import Catalogue
from cardservice.services.meals import rules
from cardservice.services.meals.catalogue import catalogue
from cardservice.services.meals.loading import load_menu
from cardservice.services.meals.menu import Menu, prepare
from cardservice.services.meals.price_list import price_list
from cardservice.services.meals.schemas import SaleDetails
from cardservice.services.price_lists import Listed
from cardservice.services.seam import (
    Action,
    Ask,
    Decision,
    Holder,
    LoadedTariff,
    Quote,
    Refusal,
    TariffError,
    View,
)

SALE = Action(
    name="sale",
    roles=frozenset({"till"}),
    details_schema=SaleDetails,
    retention_class="meals",
    retention_days=100,  # a term: what a child ate
)


class Meals:
    """School meals, from a menu."""

    name = "meals"
    actions: Mapping[str, Action] = MappingProxyType({SALE.name: SALE})
    limits: Mapping[str, str] = MappingProxyType({rules.DAY_LIMIT: "what is spent at school in a day"})

    def details_schema(self, action: str) -> type[Schema]:
        """The schema of the action's details; KeyError where there is no such action."""
        return self.actions[action].details_schema

    def load(self, files: Sequence[Path], *, currency: str) -> LoadedTariff:
        """Read a menu (one .json file); raises TariffError."""
        if len(files) != 1:
            raise TariffError("menu", None, "name one menu file, MENU.json")
        return load_menu(files[0], currency)

    def prepare(self, content: Mapping[str, object]) -> Menu:
        """The menu of a stored content."""
        return prepare(content)

    def quote(self, ask: Ask, holder: Holder | None, tariff: object) -> Quote | Refusal:
        """The price of what is on the tray."""
        del holder  # the price is everybody's: what a person is given towards it shows nowhere
        return rules.quote(ask, _menu(tariff))

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether the sale is approved, and what it costs."""
        return rules.decide(ask, holder, view, _menu(tariff))

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
