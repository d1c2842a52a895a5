"""Deals, such as a main meal and a dessert for one price: found on a tray, and shared among its pieces.

A deal is no line of its own. What it saves is taken off the pieces that make it, by what they cost: so each
line keeps its own tax, a main meal may still end in arrears, and a line is given back for what was paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a deal: any of these items, or any of these categories."""

    items: frozenset[str]
    categories: frozenset[str]

    def takes(self, key: str, category: str) -> bool:
        """Whether an item can be this part."""
        return key in self.items or category in self.categories


@dataclass(frozen=True, slots=True)
class Deal:
    """One piece of each part, for one price."""

    key: str
    label: str
    price_minor: int
    prices: Mapping[str, int]
    services: frozenset[str]
    parts: tuple[Part, ...]

    def price_for(self, buyer: str) -> int:
        """What a person of this category pays."""
        return self.prices.get(buyer, self.price_minor)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece on a tray; `deal` is the label of the one that it is part of."""

    key: str
    category: str
    amount_minor: int
    deal: str = ""


def with_deals(pieces: Sequence[Piece], deals: Sequence[Deal], service: str, buyer: str) -> tuple[Piece, ...]:
    """The pieces in their order, each for what it costs with the deals that they make.

    Ours: deals come in the menu's order, each as often as it fits and saves something, of the dearest pieces.
    """
    left = list(pieces)
    for deal in deals:
        if service not in deal.services:
            continue
        while (chosen := _chosen(left, deal)) is not None:
            amounts = [left[at].amount_minor for at in chosen]
            price_minor = deal.price_for(buyer)
            if price_minor >= sum(amounts):
                break
            for at, share_minor in zip(chosen, shared(price_minor, amounts), strict=True):
                left[at] = Piece(left[at].key, left[at].category, share_minor, deal.label)
    return tuple(left)


def _chosen(pieces: Sequence[Piece], deal: Deal) -> list[int] | None:
    """Where the pieces lie that make the deal, part by part; None where one is missing."""
    chosen: list[int] = []
    for part in deal.parts:
        fitting = [
            at
            for at, piece in enumerate(pieces)
            if at not in chosen and not piece.deal and part.takes(piece.key, piece.category)
        ]
        if not fitting:
            return None
        chosen.append(max(fitting, key=lambda at: (pieces[at].amount_minor, -at)))
    return chosen


def shared(total_minor: int, weights: Sequence[int]) -> tuple[int, ...]:
    """A total in shares by weight, that add up to it: each rounded down from the beginning of all."""
    whole = sum(weights)
    shares, before, done = [], 0, 0
    for weight in weights:
        before += weight
        upto = total_minor * before // whole
        shares.append(upto - done)
        done = upto
    return tuple(shares)


def prepare_deal(stored: Mapping[str, Any]) -> Deal:
    """A deal of a stored content."""
    return Deal(
        key=stored["key"],
        label=stored["label"],
        price_minor=stored["price_minor"],
        prices=dict(stored["prices"]),
        services=frozenset(stored["services"]),
        parts=tuple(
            Part(frozenset(part["items"]), frozenset(part["categories"])) for part in stored["parts"]
        ),
    )
