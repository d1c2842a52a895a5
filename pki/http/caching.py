"""How long others may keep what they are given. RFC 9111; for OCSP RFC 5019, 6."""

from datetime import datetime
from hashlib import sha256

from flask import Response, request

# Ours: a revocation is known to whoever asks after so long, whatever caches stand between. `next_update` says
# how long an answer may be relied on by who cannot ask.
CRL_MAX_AGE_S = 60
OCSP_MAX_AGE_S = 300
STATUS_LIST_MAX_AGE_S = 300
CERTIFICATE_MAX_AGE_S = 24 * 60 * 60


def keepable(
    body: bytes,
    media_type: str,
    max_age_s: int,
    *,
    modified: datetime | None = None,
    expires: datetime | None = None,
    tag: bytes | None = None,
    shared: bool = True,
) -> Response:
    """An answer that anybody may keep, or not `shared` who has asked alone; 304 where the client has it.

    `tag` tells it from others, else its bytes do. A tag of its own is weak: the signature may be another one.
    """
    response = Response(body, content_type=media_type)
    response.set_etag((tag or sha256(body).digest()).hex(), weak=tag is not None)
    if modified is not None:
        response.last_modified = modified
    if expires is not None:
        response.expires = expires
    cache = response.cache_control
    if shared:
        cache.public = True
    else:
        cache.private = True
    cache.no_transform, cache.must_revalidate = True, True
    cache.max_age = max_age_s
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request.environ)
    return response


def fleeting(body: bytes, media_type: str) -> Response:
    """An answer to this request alone."""
    response = Response(body, content_type=media_type)
    response.cache_control.no_store = True
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
