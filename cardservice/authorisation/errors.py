"""Refusals of a message that say more than the one that they are a kind of (ADR 0122)."""

from cardservice.errors import IdConflict, ProofInvalid, StatementMalformed


class IdOfAnotherTerminal(IdConflict):
    """The id is known, and not from this terminal."""

    code = "id_of_another_terminal"


class AmountNegative(StatementMalformed):
    """The amount of the signed statement is below zero."""

    code = "amount_negative"


class AmountTooLarge(StatementMalformed):
    """The amount of the signed statement is more than the card specification has."""

    code = "amount_too_large"


class ProofOfAnotherUse(ProofInvalid):
    """The card has signed this, and not as a payment: as a door's challenge, for example."""

    code = "proof_of_another_use"
