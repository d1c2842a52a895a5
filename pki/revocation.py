"""Reasons for a revocation, and the head of the lists that tell them. RFC 5280, 5."""

from datetime import UTC, datetime, timedelta

from cryptography import x509

from pki.clock import require_aware
from pki.crl import CrlHead
from pki.errors import RequestRefused
from pki.extensions import Publication, authority_key_identifier
from pki.store import StoredCrl

# Ours: a peer whose clock is a little behind must not refuse what was made a moment ago.
BACKDATING = timedelta(minutes=5)

# RFC 5280, 5.3.1, those that end a certificate for good and mean something for ours
REASONS = {
    reason.name: reason
    for reason in (
        x509.ReasonFlags.unspecified,
        x509.ReasonFlags.key_compromise,
        x509.ReasonFlags.ca_compromise,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
        x509.ReasonFlags.privilege_withdrawn,
    )
}


def crl_head(
    certificate: x509.Certificate,
    publication: Publication,
    moment: datetime,
    validity: timedelta,
    shard: int | None,
    number: int,
    base: StoredCrl | None,
) -> CrlHead:
    """What a list of this issuer says but its entries: complete, or the changes since `base`.

    It never reaches beyond the issuer's certificate. Raises RequestRefused for a shard where the scheme has
    no public URL: without its distribution point a shard would be taken for a list of everything.
    """
    distribution_point = None if shard is None else publication.crl_url(shard)
    if shard is not None and distribution_point is None:
        raise RequestRefused("a scheme without a public URL has no shards, since no certificate names one")
    start = whole_seconds(moment)
    # A root is offline: nobody makes delta lists of it from day to day.
    has_deltas = base is None and certificate.issuer != certificate.subject
    return CrlHead(
        issuer=certificate.subject,
        authority_key=authority_key_identifier(certificate),
        number=number,
        this_update=max(start - BACKDATING, certificate.not_valid_before_utc),
        next_update=min(start + validity, certificate.not_valid_after_utc),
        base_number=None if base is None else base.number,
        distribution_point=distribution_point,
        freshest_at=publication.delta_url(shard) if has_deltas else None,
    )


def whole_seconds(moment: datetime) -> datetime:
    """X.509 knows whole seconds. RFC 5280, 4.1.2.5."""
    return require_aware(moment).astimezone(UTC).replace(microsecond=0)
