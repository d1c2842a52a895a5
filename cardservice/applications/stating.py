"""What a card may say of its holder, signed: one statement a predicate, bound to the card's own key.

None outlives its proof's day of review, or the card. They are signed with the key that signs status lists,
which terminals verify offline, and made when they are asked for: none is kept.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from cardservice.applications.eligibility import Ages, stated
from cardservice.applications.errors import NothingToState
from cardservice.applications.proofs import known_of
from cardservice.audit.service import record
from cardservice.cards.service import card_certificate, require_card
from cardservice.cards.states import CardState
from cardservice.context import Context
from cardservice.keys import AUTHORITY as SIGNERS
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.signers import status_list_signer
from pki.statements.entitlement import Entitlement, KeyBinding, sign_entitlement

_STATED = frozenset({CardState.PERSONALISED, CardState.DISPATCHED, CardState.ACTIVE})


@dataclass(frozen=True, slots=True)
class Stated:
    """A signed statement (`pki.statements.entitlement`)."""

    predicate: str
    expires_at: datetime
    raw: bytes


def state_entitlements(
    context: Context, connection: Connection, card_id: UUID, *, actor: str
) -> tuple[Stated, ...]:
    """All that a card may say today. Raises CardUnknown, and NothingToState for one that is not to be used.

    To be written to the card, or shown beside it; whoever reads one needs the card's key to have signed.
    """
    moment = context.now()
    known = require_card(connection, card_id)
    issued = card_certificate(DatabaseCertificateStore(connection), known.id)
    if known.state not in _STATED or issued is None or issued.revoked_at is not None:
        raise NothingToState(f"card {known.id} is {known.state}; statements are made for cards that are made")
    key = x509.load_der_x509_certificate(issued.der).public_key()
    if issued.status_index is None or not isinstance(key, ec.EllipticCurvePublicKey):
        raise NothingToState("a card without a place in a status list says nothing that can be taken back")
    person = known_of(connection, context.keys.cardholder_kek, known.cardholder_id)
    ages = Ages(context.settings.young_age, context.settings.adult_age)
    signer = status_list_signer(context.authority(SIGNERS, connection), context.keys.store, moment)
    last = known.expires_on + timedelta(days=1)
    made = []
    for predicate, review_on in sorted(stated(person, ages, context.today()).items()):
        entitlement = Entitlement(
            scheme=context.scheme.id,
            predicate=predicate,
            binding=KeyBinding.of(key),
            issued_at=moment,
            expires_at=_midnight(last if review_on is None else min(review_on, last)),
            status_index=issued.status_index,
        )
        made.append(Stated(predicate, entitlement.expires_at, sign_entitlement(entitlement, signer.key)))
    # How many, never which.
    record(connection, actor, "card.entitlements", known.id, moment, statements=len(made))
    return tuple(made)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
