"""The daily equation: bank = `prepaid` + `card_value` + `in_transit`, each side from sources of its own.

The bank's side is the lines of the settlement files. What holders have is the balances of their accounts.
What is in transit is what lies between, named: what was captured and is not at the bank yet, what was spent
and is not paid out yet, what the scheme bears. They agree only where every payment, refund and dispute has
been posted once, and every posting has one.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, text

from cardservice.payments.settlement import POSTED


@dataclass(frozen=True, slots=True)
class Equation:
    """Sums in minor units; what is owed by others, or was given, is below 0."""

    # Of what the files say that matches what was posted: gross, for a provider's fees are the scheme's own
    # cost, and it makes them up to the bank.
    bank_minor: int
    fees_minor: int
    # Came to the bank, or left it, without our knowing why: to be cleared up by a person.
    unmatched_minor: int
    prepaid_minor: int
    card_value_minor: int
    # Captured, asked back or lost, and not in a settlement file yet
    unsettled_minor: int
    # Paid in by other ways (cash, a terminal, a bank transfer) and not through the provider
    other_ways_minor: int
    # To providers, and what else the scheme's accounts have
    owed_minor: int
    # What payers owe: the scheme has advanced it
    arrears_minor: int
    # Charged back beyond what was left of a payment
    beyond_minor: int

    @property
    def in_transit_minor(self) -> int:
        """All that lies between the bank and what holders have."""
        return (
            self.owed_minor
            + self.arrears_minor
            - self.unsettled_minor
            - self.other_ways_minor
            - self.beyond_minor
        )

    @property
    def difference_minor(self) -> int:
        """0, or something has been posted that was not paid, or was not that was."""
        return self.bank_minor - self.prepaid_minor - self.card_value_minor - self.in_transit_minor

    def values(self) -> dict[str, int]:
        """All of it, for a script."""
        return {
            **asdict(self),
            "in_transit_minor": self.in_transit_minor,
            "difference_minor": self.difference_minor,
        }


_LINES = """
SELECT coalesce(sum(CASE WHEN state = 'matched' THEN gross_minor ELSE 0 END), 0),
    coalesce(sum(fee_minor), 0),
    coalesce(sum(CASE WHEN state = 'matched' THEN 0 ELSE gross_minor END), 0)
FROM settlement_line WHERE unit = :unit
"""
_BALANCES = "SELECT kind, coalesce(sum(balance), 0) FROM account WHERE unit = :unit GROUP BY kind"
# Of the accounts that are nobody's own: what they were credited less what they were debited.
_ACCOUNTS = """
SELECT name, sum(amount) FROM (
    SELECT credit AS name, amount_minor AS amount FROM transfer WHERE unit = :unit
    UNION ALL SELECT debit, -amount_minor FROM transfer WHERE unit = :unit
) AS sides WHERE name NOT LIKE 'payer:%' GROUP BY name
"""
# From what is known of payments, not from the ledger. A refund counts although its name is not known yet.
_UNSETTLED = f"""
WITH posted AS ({POSTED})
SELECT coalesce(sum(posted.amount_minor), 0) FROM posted
WHERE posted.unit = :unit AND NOT EXISTS (
    SELECT 1 FROM settlement_line AS line
    WHERE line.provider = posted.provider AND line.kind = posted.kind AND line.reference = posted.reference
        AND line.state = 'matched'
)
"""  # noqa: S608 - our own names
_UNNAMED = """
SELECT coalesce(sum(amount_minor), 0) FROM payment_refund
WHERE provider_refund IS NULL AND state IN ('wanted', 'submitted')
"""
_BEYOND = "SELECT coalesce(sum(amount_minor - posted_minor), 0) FROM payment_dispute WHERE state = 'lost'"
_PROVIDERS = "SELECT DISTINCT provider FROM payment_attempt"


def equation(connection: Connection, unit: str) -> Equation:
    """The equation as of this moment."""
    asked = {"unit": unit}
    bank, fees, unmatched = connection.execute(text(_LINES), asked).one()
    balances: dict[str, int] = {
        kind: int(total) for kind, total in connection.execute(text(_BALANCES), asked).all()
    }
    providers = {f"scheme:clearing:{name}" for name in connection.execute(text(_PROVIDERS)).scalars()}
    # Set aside for something, it is still at the bank.
    other_ways, owed = 0, balances.get("reserved", 0)
    for name, total in connection.execute(text(_ACCOUNTS), asked).all():
        if name in providers:
            continue
        if name.startswith("scheme:clearing:"):
            other_ways -= int(total)
        else:
            owed += int(total)
    unsettled = int(connection.scalar(text(_UNSETTLED), asked) or 0)
    unsettled -= int(connection.scalar(text(_UNNAMED)) or 0)
    # A dispute stands in `unsettled` and at the bank with all of it, in the ledger with what was left.
    beyond = int(connection.scalar(text(_BEYOND)) or 0)
    return Equation(
        bank_minor=int(bank),
        fees_minor=int(fees),
        unmatched_minor=int(unmatched),
        prepaid_minor=balances.get("prepaid", 0),
        card_value_minor=balances.get("card_value", 0),
        unsettled_minor=unsettled,
        other_ways_minor=other_ways,
        owed_minor=owed,
        arrears_minor=balances.get("arrears", 0),
        beyond_minor=beyond,
    )
