"""What is published, at the addresses that stand in the certificates."""

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Blueprint, Response, abort, request

from pki.http.caching import (
    CERTIFICATE_MAX_AGE_S,
    CRL_MAX_AGE_S,
    OCSP_MAX_AGE_S,
    STATUS_LIST_MAX_AGE_S,
    fleeting,
    keepable,
)
from pki.ocsp import MAX_REQUEST_BYTES, OcspAnswer
from pki.status_desk import SignedStatusList
from pki.status_list.token import MEDIA_TYPE
from pki.store import StoredCrl

# RFC 2585, 4; RFC 6960, A.1
_CERTIFICATE, _CRL = "application/pkix-cert", "application/pkix-crl"
_OCSP_REQUEST, _OCSP_RESPONSE = "application/ocsp-request", "application/ocsp-response"
# RFC 5019, 5: what does not fit 255 bytes is posted. Ours is a little more patient.
_MAX_GET_BYTES = 1_024


class Publication(Protocol):
    """What there is to be published, as of now."""

    def certificate(self, issuer: str) -> x509.Certificate | None:
        """The certificate of one of the authorities' keys: `cards`, with its next key `cards-2`."""
        ...

    def crl(self, issuer: str, shard: int | None = None, *, delta: bool = False) -> StoredCrl | None:
        """Its revocation list of everything or of a shard, complete or since the last complete one."""
        ...

    def respond(self, request: bytes, /) -> OcspAnswer:
        """The answer to an OCSP request."""
        ...

    def status_list(self, number: int) -> SignedStatusList | None:
        """One of the status lists for terminals."""
        ...


def blueprint(publication: Callable[[], Publication]) -> Blueprint:
    """The routes over what `publication` gives for each request."""
    routes, face = Blueprint("pki", __name__), _Face(publication)
    routes.add_url_rule("/<issuer>.crt", view_func=face.certificate)
    routes.add_url_rule("/<issuer>.crl", view_func=face.crl)
    routes.add_url_rule("/<issuer>/delta.crl", view_func=face.delta_crl)
    routes.add_url_rule("/<issuer>/<int:shard>.crl", view_func=face.shard_crl)
    routes.add_url_rule("/<issuer>/<int:shard>-delta.crl", view_func=face.shard_delta_crl)
    routes.add_url_rule("/status/<int:number>", view_func=face.status_list)
    # Two slashes in base64 are two slashes.
    routes.add_url_rule("/ocsp/<path:encoded>", view_func=face.ocsp_get, merge_slashes=False)
    routes.add_url_rule("/ocsp", view_func=face.ocsp_post, methods=["POST"])
    return routes


class _Face:
    """A view for each address."""

    def __init__(self, publication: Callable[[], Publication]) -> None:
        self._publication = publication

    def certificate(self, issuer: str) -> Response:
        """An authority's certificate (DER). RFC 5280, 4.2.2.1."""
        found = self._publication().certificate(issuer)
        if found is None:
            abort(404)
        der = found.public_bytes(Encoding.DER)
        return keepable(der, _CERTIFICATE, CERTIFICATE_MAX_AGE_S, modified=found.not_valid_before_utc)

    def crl(self, issuer: str) -> Response:
        """The revocation list of everything that a key has signed (DER). RFC 5280, 4.2.1.13."""
        return _list(self._publication().crl(issuer))

    def delta_crl(self, issuer: str) -> Response:
        """What has changed since. RFC 5280, 5.2.4."""
        return _list(self._publication().crl(issuer, delta=True))

    def shard_crl(self, issuer: str, shard: int) -> Response:
        """The revocation list of a shard. RFC 5280, 5.2.5."""
        return _list(self._publication().crl(issuer, shard))

    def shard_delta_crl(self, issuer: str, shard: int) -> Response:
        """What has changed since in a shard."""
        return _list(self._publication().crl(issuer, shard, delta=True))

    def ocsp_get(self, encoded: str) -> Response:
        """The status of a certificate. RFC 6960, A.1: the request in base64 is the rest of the path."""
        if len(encoded) > _MAX_GET_BYTES:
            abort(414)
        try:
            asked = b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            asked = b""  # no request: answered as a malformed one
        return _answer(self._publication().respond(asked))

    def ocsp_post(self) -> Response:
        """The status of certificates. RFC 6960, A.1."""
        if request.mimetype != _OCSP_REQUEST:
            abort(415)
        request.max_content_length = MAX_REQUEST_BYTES
        return _answer(self._publication().respond(request.get_data(cache=False)))

    def status_list(self, number: int) -> Response:
        """The status of a million cards. Token Status List, 8.1 and 8.2."""
        if "time" in request.args:  # 8.4: what was true before is not told
            abort(501)
        if request.accept_mimetypes and not request.accept_mimetypes[MEDIA_TYPE]:
            abort(406)
        found = self._publication().status_list(number)
        if found is None:
            abort(404)
        return keepable(
            found.raw,
            MEDIA_TYPE,
            STATUS_LIST_MAX_AGE_S,
            modified=found.token.issued_at,
            expires=found.token.expires_at,
            tag=found.content_sha256,
        )


def _list(found: StoredCrl | None) -> Response:
    if found is None:
        abort(404)
    return keepable(found.der, _CRL, CRL_MAX_AGE_S, modified=found.this_update, expires=found.next_update)


def _answer(answer: OcspAnswer) -> Response:
    """RFC 5019, 6.2. What has a nonce, is a refusal or was posted is for this request alone."""
    if answer.next_update is None or request.method == "POST":
        return fleeting(answer.der, _OCSP_RESPONSE)
    return keepable(
        answer.der,
        _OCSP_RESPONSE,
        OCSP_MAX_AGE_S,
        modified=answer.this_update,
        expires=answer.next_update,
    )
