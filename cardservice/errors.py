"""What can go wrong in the service: one base class, a stable code each, and the data that explains it.

What a code means over HTTP stands in `api/problems.py`, and nowhere else.
"""

from datetime import datetime
from typing import ClassVar


class CardServiceError(Exception):
    """Base of every error of this package; the message is a sentence that says what to do."""

    code: ClassVar[str] = "error"


class SettingsInvalid(CardServiceError):
    """A setting is missing, malformed, or unsafe in this mode."""

    code = "settings_invalid"

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting


class NotInitialised(CardServiceError):
    """The database or the service's keys are not there yet."""

    code = "not_initialised"


class OrderInvalid(CardServiceError):
    """An administrator's order cannot be carried out as it was given."""

    code = "order_invalid"


class AlreadyExists(CardServiceError):
    """An identifier is taken."""

    code = "already_exists"

    def __init__(self, what: str, identity: str) -> None:
        super().__init__(f"{what} {identity} exists already")
        self.what, self.identity = what, identity


class Unknown(CardServiceError):
    """Base of what is not there."""

    def __init__(self, what: str, identity: object) -> None:
        super().__init__(f"no {what} {identity}")
        self.what, self.identity = what, str(identity)


class ProviderUnknown(Unknown):
    """No provider has this identifier."""

    code = "provider_unknown"

    def __init__(self, provider: str) -> None:
        super().__init__("provider", provider)


class CardholderUnknown(Unknown):
    """No cardholder has this identifier."""

    code = "cardholder_unknown"

    def __init__(self, cardholder: object) -> None:
        super().__init__("cardholder", cardholder)


class CardUnknown(Unknown):
    """No card of this scheme has this identifier."""

    code = "card_unknown"

    def __init__(self, card: object) -> None:
        super().__init__("card", card)


class TransactionUnknown(Unknown):
    """No transaction has this identifier."""

    code = "transaction_unknown"

    def __init__(self, transaction: object) -> None:
        super().__init__("transaction", transaction)


class ErasureRefused(CardServiceError):
    """A person cannot be erased yet; `reason` is a stable code."""

    code = "erasure_refused"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ExplanationMissing(CardServiceError):
    """What a decision was reached by was not kept, or cannot be read any more."""

    code = "explanation_missing"


class ServiceUnknown(Unknown):
    """No service has this name."""

    code = "service_unknown"

    def __init__(self, service: str) -> None:
        super().__init__("service", service)


class OrderUnknown(Unknown):
    """No personalisation order has this identifier."""

    code = "order_unknown"

    def __init__(self, order: object) -> None:
        super().__init__("personalisation order", order)


class OrderClosed(CardServiceError):
    """The order's card is done or has failed; nothing more is written under it."""

    code = "order_closed"

    def __init__(self, order: object, state: str) -> None:
        super().__init__(f"personalisation order {order} is {state}; make a new order for another card")
        self.order, self.state = order, state


class CertificateMissing(CardServiceError):
    """A card cannot be reported as done before it has a certificate."""

    code = "certificate_missing"


class UidRefused(CardServiceError):
    """A card cannot be reported under this UID."""

    code = "uid_refused"


class CertificateRequestRefused(CardServiceError):
    """A certificate signing request is malformed, not signed by its own key, or of another kind of key."""

    code = "certificate_request_refused"


class StateChangeRefused(CardServiceError):
    """A card's state does not lead to the one asked for."""

    code = "state_change_refused"

    def __init__(self, card: object, state: str, wanted: str) -> None:
        super().__init__(f"card {card} is {state}, which does not lead to {wanted}")
        self.card, self.state, self.wanted = card, state, wanted


class TooManyRequests(CardServiceError):
    """A terminal or an address asks more often than it may; nothing was done, and nothing is noted."""

    code = "too_many_requests"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"send it again after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class MessageRefused(CardServiceError):
    """Base of the refusals of a terminal's message: it takes no id, and is noted as a security event."""


class Malformed(MessageRefused):
    """The request's body does not have the documented shape."""

    code = "malformed"

    def __init__(self, message: str, fields: object = None) -> None:
        super().__init__(message)
        self.fields = fields


class RequestSignatureMissing(MessageRefused):
    """No request signature of the terminal profile."""

    code = "request_signature_missing"


class RequestSignatureInvalid(MessageRefused):
    """The request signature does not verify; or, by a class below, it is not of the profile."""

    code = "request_signature_invalid"


class RequestSignatureStale(MessageRefused):
    """The request signature was created too long ago, or in the future."""

    code = "request_signature_stale"


class TerminalUnknown(MessageRefused):
    """No terminal of this scheme has this identifier."""

    code = "terminal_unknown"

    def __init__(self, terminal: str) -> None:
        super().__init__(f"no terminal {terminal[:64]!r} is registered")
        self.terminal = terminal


class TerminalRevoked(MessageRefused):
    """The terminal was revoked, or its provider closed, before the moment that counts."""

    code = "terminal_revoked"

    def __init__(self, terminal: str, revoked_at: datetime) -> None:
        since = revoked_at.isoformat()
        super().__init__(f"terminal {terminal} was revoked, or its provider closed, from {since} on")
        self.terminal, self.revoked_at = terminal, revoked_at


class RoleNotAllowed(MessageRefused):
    """The terminal's role does not cover this service and action, or this duty."""

    code = "role_not_allowed"

    def __init__(self, terminal: str, role: str, wanted: str) -> None:
        super().__init__(f"terminal {terminal} has the role {role}, which does not cover {wanted[:130]}")
        self.terminal, self.role, self.wanted = terminal, role, wanted


class ServiceOfAnother(MessageRefused):
    """The service is sold by other providers than the terminal's, as of the moment that counts."""

    code = "service_of_another_provider"

    def __init__(self, terminal: str, provider: str, service: str) -> None:
        super().__init__(f"terminal {terminal} is {provider}'s, which does not sell {service[:130]}")
        self.terminal, self.provider, self.service = terminal, provider, service


class IdConflict(MessageRefused):
    """The id is known with another body."""

    code = "id_conflict"


class Erased(MessageRefused):
    """The transaction's details were erased; its id stays refused."""

    code = "erased"


class StatementMalformed(MessageRefused):
    """The signed statement is not one of the card specification."""

    code = "statement_malformed"


class SchemeMismatch(MessageRefused):
    """The statement was made for another scheme."""

    code = "scheme_mismatch"


class TerminalMismatch(MessageRefused):
    """The statement names another terminal than the one that signed the request."""

    code = "terminal_mismatch"


class DetailsMismatch(MessageRefused):
    """The details are not those that the card signed."""

    code = "details_mismatch"


class CardNotInScheme(MessageRefused):
    """The statement names a card that this scheme does not have."""

    code = "card_unknown"


class ProofInvalid(MessageRefused):
    """The card's signature, or its certificate, does not verify."""

    code = "proof_invalid"


class ProofOfAnotherCard(MessageRefused):
    """The statement was signed by another card of the scheme."""

    code = "proof_of_another_card"


class QuoteRefused(CardServiceError):
    """A service's rules give no price; `reason` is the service's own stable code."""

    code = "quote_refused"

    def __init__(self, reason: str, message: str, data: object = None) -> None:
        super().__init__(message)
        self.reason, self.data = reason, data


class CardUnusable(CardServiceError):
    """The card may not be used now; `reason` is the stable code that a sale would be declined with."""

    code = "card_unusable"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class CatalogueMissing(CardServiceError):
    """The service sells nothing that can be listed."""

    code = "catalogue_missing"

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} has no catalogue; ask for the price of what is wanted")
        self.service = service


class PhotoRefused(CardServiceError):
    """A file is no photo that can be shown of somebody."""

    code = "photo_refused"


class RefundRefused(CardServiceError):
    """Nothing is given back; `reason` is a stable code, `left_minor` what could be."""

    code = "refund_refused"

    def __init__(self, reason: str, message: str, left_minor: int = 0) -> None:
        super().__init__(message)
        self.reason, self.left_minor = reason, left_minor


class NotificationRefused(CardServiceError):
    """A notification is not signed by the payment provider, or there is none to send any."""

    code = "notification_refused"


class Busy(CardServiceError):
    """The payer's state is held by others; nothing was posted. Sent again with the same id, it will be."""

    code = "busy"


class TariffExists(CardServiceError):
    """A version of a tariff is never changed; another content needs another version."""

    code = "tariff_exists"

    def __init__(self, service: str, version: str) -> None:
        super().__init__(f"{service} has another tariff of version {version}; a loaded one is never changed")
        self.service, self.version = service, version


class DraftUnknown(Unknown):
    """No draft of a tariff has this identifier."""

    code = "draft_unknown"

    def __init__(self, draft: object) -> None:
        super().__init__("draft of a tariff", draft)


class DraftClosed(CardServiceError):
    """A draft has been approved or withdrawn; what is wanted now is a new one."""

    code = "draft_closed"

    def __init__(self, draft: object, state: str, by: str) -> None:
        super().__init__(f"draft {draft} was {state} by {by}; load its files again for a new one")
        self.draft, self.state, self.by = draft, state, by


class ApprovalRefused(CardServiceError):
    """Whoever loaded a draft cannot approve it."""

    code = "approval_refused"

    def __init__(self, author: str) -> None:
        super().__init__(
            f"{author} has loaded it, so somebody else must approve it; a scheme for which one person is"
            " enough sets tariff_approval to one-person"
        )
        self.author = author
