"""What anybody may read: all that is trusted, in one answer, and whether the service is well.

Certificates and revocation lists one by one, OCSP and status lists are `pki.http`'s, mounted beside this.
"""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from flask import request
from marshmallow import fields
from sqlalchemy import select, text

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import context, desk, unlimited
from cardservice.api.fields import Bytes, Message
from cardservice.cards.service import AUTHORITY as CARDS
from cardservice.pki_store import publication

blueprint = Blueprint("public", "cardservice.public", description="Without a signature.")


class TrustSchema(Message):
    """All that a terminal needs to verify a card without asking."""

    scheme = fields.String(required=True)
    certificates = fields.List(
        Bytes(), required=True, metadata={"description": "DER: root, authorities, the one that signs answers"}
    )
    crls = fields.List(Bytes(), required=True, metadata={"description": "DER, one for each authority"})
    status_lists = fields.List(
        fields.String(), required=True, metadata={"description": "The addresses of the cards' status lists"}
    )


# Who reads status lists asks for the trust without the revocation lists of cards, which are long.
_PARAMETERS = [
    {
        "name": "cards",
        "in": "query",
        "schema": {"type": "string", "enum": ["status-list"]},
        "description": "Leave out the revocation lists of cards where there are status lists.",
    }
]


class HealthSchema(Message):
    """How the service is."""

    status = fields.String(required=True, metadata={"description": "live, ready or recovering"})


@blueprint.route("/pki/trust")
@blueprint.doc(parameters=_PARAMETERS)
@blueprint.tagged
@blueprint.response(200, TrustSchema)
def trust() -> dict[str, Any]:
    """The scheme's certificates and its latest revocation lists."""
    lists = desk().status_lists()
    without = context().pki.issuers(CARDS) if lists and request.args.get("cards") == "status-list" else ()
    published = publication.published(context(), without)
    # Answers and status lists name their certificates by a thumbprint alone: here is what verifies them.
    signers = (context().keys.answer_certificate, *dict.fromkeys(signed.signer for signed in lists))
    certificates = (*published.certificates.values(), *signers)
    return {
        "scheme": context().scheme.id,
        "certificates": [item.public_bytes(Encoding.DER) for item in certificates],
        "crls": list(published.crls.values()),
        "status_lists": [signed.token.uri for signed in lists],
    }


@blueprint.route("/healthz/live")
@blueprint.response(200, HealthSchema)
@unlimited
def live() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "live"}


@blueprint.route("/healthz/ready")
@blueprint.response(200, HealthSchema)
@blueprint.problems(503)
@unlimited
def ready() -> dict[str, str]:
    """Whether requests can be served: the database answers and the revocation lists are in date."""
    with context().database.reading() as connection:
        connection.execute(select(text("1")))
    publication.published(context())
    return {"status": "recovering" if context().gate.is_recovering() else "ready"}
