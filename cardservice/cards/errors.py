"""What can go wrong with a card that is put into use."""

from datetime import date

from cardservice.errors import CardServiceError


class CardInUse(CardServiceError):
    """The holder has a card of this kind in use already."""

    code = "card_in_use"

    def __init__(self, kind: str, card: object) -> None:
        super().__init__(f"the holder has a {kind} card in use, {card}; replace that one (card replace)")
        self.kind, self.card = kind, card


class CardTooEarly(CardServiceError):
    """A card is for a visit that has not begun."""

    code = "card_too_early"

    def __init__(self, card: object, usable_from: date) -> None:
        super().__init__(f"card {card} is for a visit from {usable_from} on; activate it then")
        self.card, self.usable_from = card, usable_from


class LendingRefused(CardServiceError):
    """A card is not lent, or not taken back."""

    code = "lending_refused"


class LossRefused(CardServiceError):
    """A report of a loss is not taken where it was made; a desk takes it."""

    code = "loss_refused"


class ActivationRefused(CardServiceError):
    """A card is not activated; `attempts_left` is how often a code may still be tried."""

    code = "activation_refused"

    def __init__(self, message: str, attempts_left: int = 0) -> None:
        super().__init__(message)
        self.attempts_left = attempts_left
