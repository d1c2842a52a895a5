"""What anybody may read: all that is trusted, in one answer, and whether the service is well.

Certificates and revocation lists one by one, OCSP and status lists are `pki.http`'s, mounted beside this.
"""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from marshmallow import fields
from sqlalchemy import select, text

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import context
from cardservice.api.fields import Bytes, Message
from cardservice.pki_store import publication

blueprint = Blueprint("public", "cardservice.public", description="Without a signature.")


class TrustSchema(Message):
    """All that a terminal needs to verify a card without asking."""

    scheme = fields.String(required=True)
    certificates = fields.List(
        Bytes(), required=True, metadata={"description": "DER: root, authorities, the one that signs answers"}
    )
    crls = fields.List(Bytes(), required=True, metadata={"description": "DER, one for each authority"})


class HealthSchema(Message):
    """How the service is."""

    status = fields.String(required=True)


@blueprint.route("/pki/trust")
@blueprint.response(200, TrustSchema)
def trust() -> dict[str, Any]:
    """The scheme's certificates and its latest revocation lists."""
    published = publication.published(context())
    # An answer names its certificate by a thumbprint alone: here is what to verify it with.
    certificates = (*published.certificates.values(), context().keys.answer_certificate)
    return {
        "scheme": context().scheme.id,
        "certificates": [item.public_bytes(Encoding.DER) for item in certificates],
        "crls": list(published.crls.values()),
    }


@blueprint.route("/healthz/live")
@blueprint.response(200, HealthSchema)
def live() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "live"}


@blueprint.route("/healthz/ready")
@blueprint.response(200, HealthSchema)
@blueprint.problems(503)
def ready() -> dict[str, str]:
    """Whether requests can be served: the database answers and the revocation lists are in date."""
    with context().database.reading() as connection:
        connection.execute(select(text("1")))
    publication.published(context())
    return {"status": "ready"}
