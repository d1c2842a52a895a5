"""What can be wrong with a statement beside its form and signature, and with an entitlement that has both."""

from datetime import datetime

from pki.errors import PkiError, StatementMalformed, StatementSignatureInvalid


class AmountNegative(StatementMalformed):
    """A statement whose amount is below zero: what goes back to the holder is a refund, not a payment."""

    code = "amount_negative"


class AmountTooLarge(StatementMalformed):
    """A statement whose amount is more than a peer can carry exactly."""

    code = "amount_too_large"


class StatementSignatureBare(StatementSignatureInvalid):
    """This key has signed these bytes, and not as a payment: bound to no purpose and no scheme."""

    code = "statement_signature_bare"


class EntitlementRefused(PkiError):
    """Base of what makes an authentic-looking entitlement worth nothing here and now."""

    code = "entitlement_refused"


class EntitlementIssuerUnknown(EntitlementRefused):
    """No trusted issuer has a key of this identifier."""

    code = "entitlement_issuer_unknown"

    def __init__(self, key_id: bytes) -> None:
        super().__init__(f"no issuer that is trusted here has the key {key_id.hex()}; fetch the trust again")
        self.key_id = key_id


class EntitlementOfAnotherCard(EntitlementRefused):
    """The entitlement is bound to another card than the one that is there."""

    code = "entitlement_of_another_card"


class EntitlementNotYetValid(EntitlementRefused):
    """The moment lies before the time of issue."""

    code = "entitlement_not_yet_valid"

    def __init__(self, issued_at: datetime) -> None:
        super().__init__(
            f"the entitlement was issued at {issued_at.isoformat()}, later than now; set the clock"
        )
        self.issued_at = issued_at


class EntitlementExpired(EntitlementRefused):
    """The entitlement has run out."""

    code = "entitlement_expired"

    def __init__(self, expires_at: datetime) -> None:
        super().__init__(f"the entitlement ran out at {expires_at.isoformat()}; have the card renewed")
        self.expires_at = expires_at
