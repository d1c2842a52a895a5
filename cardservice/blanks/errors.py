"""What can go wrong with stock."""

from cardservice.errors import CardServiceError


class StockTooLow(CardServiceError):
    """Fewer blanks lie at a place than are to be taken from it."""

    code = "stock_too_low"

    def __init__(self, place: str, product: str, there: int, wanted: int) -> None:
        super().__init__(
            f"by the books {there} of {product} lie at {place}, and {wanted} are to be taken; count them"
            " first (stock count)"
        )
        self.place, self.product, self.there, self.wanted = place, product, there, wanted


class DeliveryRefused(CardServiceError):
    """A delivery is not what its numbers say, or was taken in before."""

    code = "delivery_refused"
