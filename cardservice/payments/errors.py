"""What can be wrong with paying in by a provider, beside what the provider itself says."""

from cardservice.errors import CardServiceError


class NoProvider(CardServiceError):
    """The service was set up without a payment provider."""

    code = "payments_missing"

    def __init__(self) -> None:
        super().__init__("there is no payment provider; set CARDSERVICE_PAY_URL and CARDSERVICE_PAY_KEY_FILE")
