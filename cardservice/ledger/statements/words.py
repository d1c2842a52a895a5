"""What a line of an account statement was, in plain words."""

from cardservice.ledger.statements.values import StatementLine, Undone

_KINDS = {
    "annul": "annulment",
    "refund": "refund",
    "goodwill": "goodwill",
    "rating": "fares of a day",
    "topup": "paid in",
    "repayment": "paid back",
    "chargeback": "taken back by the payment provider",
    "carry_over": "carried over",
}
_SALES = frozenset({"request", "advice", "rating"})


def described(line: StatementLine) -> str:
    """What it was, in plain words; of what was erased, as much as the ledger's row says."""
    if line.kind == "carry_over":
        return f"carried over {'from' if line.moved.total_minor > 0 else 'to'} another account"
    if line.kind not in _SALES:
        return _KINDS.get(line.kind, line.kind)
    what = sold(line)
    return f"{what} ({', '.join(line.items)})" if line.items else what


def sold(line: StatementLine | Undone) -> str:
    """What of which service; of what was no sale, what it was."""
    if line.kind not in _SALES or line.service is None:
        return _KINDS.get(line.kind, "booked by staff")
    return f"{line.service}: {line.action or _KINDS.get(line.kind, 'sale')}"
