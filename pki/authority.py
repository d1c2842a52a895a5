"""A certification authority: issues by a profile, revokes, suspends, and publishes what is revoked.

Each operation changes the records and adds to the trail in one transaction of the store.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki import trail
from pki.clock import require_aware
from pki.crl import build_crl
from pki.errors import (
    BaseListMissing,
    CertificateStands,
    CertificateUnknown,
    NotHeld,
    ReasonUnknown,
    RequestRefused,
)
from pki.extensions import Publication, shard_of
from pki.issuing import Issuer, check_self_signature
from pki.profiles import EXAMPLE_ARC, ISSUING_AUTHORITY, Profile
from pki.requests import checked_key
from pki.revocation import BACKDATING, REASONS, crl_head, whole_seconds
from pki.store import CERTIFICATE_HOLD, CertificateStore, IssuedCertificate, StoredCrl
from pki.trail import next_entry

__all__ = ["BACKDATING", "CRL_VALIDITY", "REASONS", "Authority", "Order", "random_serial"]

CRL_VALIDITY = timedelta(days=7)
# Ours: more than any authority's own; what is asked for beyond that is cut to it anyway
MAX_VALIDITY_DAYS = 100_000


def random_serial() -> int:
    """128 random bits: positive, at most 20 octets (RFC 5280, 4.1.2.2), not to be guessed."""
    return int.from_bytes(os.urandom(16), "big") or random_serial()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of an authority: a certificate of this profile for the request's key."""

    csr: x509.CertificateSigningRequest
    profile: Profile
    identity: str
    # By default the profile's
    validity_days: int | None = None
    # Or until this very moment
    until: datetime | None = None
    # The holder's name, where the profile has a place for it
    name: str | None = None


class Authority:
    """One issuing key with its certificate and its records."""

    def __init__(
        self,
        name: str,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        store: CertificateStore,
        *,
        arc: str = EXAMPLE_ARC,
        public_url: str | None = None,
        issuer: str | None = None,
        predecessors: Callable[[], Sequence["Authority"]] = tuple,
        actor: str = "pki",
        serials: Callable[[], int] = random_serial,
    ) -> None:
        self.name = name
        # What this key is called among those that the authority has had
        self.issuer = issuer or name
        self.certificate = certificate
        self.store = store
        # The same authority with its former keys, whose lists are still renewed; asked for when they are
        self._predecessors = predecessors
        self._key = key
        self._actor = actor
        self._publication = Publication(public_url, self.issuer)
        self._issuing = Issuer(certificate, key, arc, self._publication, serials)

    def issue(
        self,
        csr: x509.CertificateSigningRequest,
        profile: Profile,
        identity: str,
        moment: datetime,
        validity_days: int | None = None,
        until: datetime | None = None,
    ) -> x509.Certificate:
        """A certificate of this profile for the request's key, recorded before it is returned.

        Of the request only the key counts: the names are the profile's, of `identity`. It is valid from five
        minutes before `moment`, for so many days or `until` a moment, and never beyond the authority's own
        certificate. Raises RequestRefused, also for an identity that the profile cannot name.
        """
        order = Order(csr=csr, profile=profile, identity=identity, validity_days=validity_days, until=until)
        (certificate,) = self.issue_many([order], moment)
        return certificate

    def issue_many(self, orders: Iterable[Order], moment: datetime) -> list[x509.Certificate]:
        """A certificate for each order, all recorded in one commit before any is returned; or none at all.

        Raises RequestRefused.
        """
        checked = [(order, self._checked(order)) for order in orders]
        with self.store.transaction() as store:
            listed = [order.identity for order, _ in checked if order.profile.has_status_index]
            places = store.status_indexes(self.name, listed) if listed else {}
            made = [self._make(places, order, key, moment) for order, key in checked]
            self._record(store, [record for _, record in made], moment)
        return [certificate for certificate, _ in made]

    def issue_authority(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        usages: tuple[x509.ObjectIdentifier, ...],
        identity: str,
        moment: datetime,
        validity: timedelta,
    ) -> x509.Certificate:
        """The certificate of an authority below this one, which can have none below it; recorded."""
        certificate = self._issuing.authority(subject, key, usages, moment, validity)
        with self.store.transaction() as store:
            der = certificate.public_bytes(Encoding.DER)
            record = self._issued(certificate, der, ISSUING_AUTHORITY.name, identity, moment)
            self._record(store, [record], moment)
        return certificate

    def record_root(self, moment: datetime) -> None:
        """Begin a root's trail with its own certificate, which nobody else has issued."""
        check_self_signature(self.certificate)
        digest = hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).hexdigest()
        with self.store.transaction() as store:
            self._note(store, moment, [(trail.CREATE, {"issuer": self.issuer, "sha256": digest})])

    def note_succession(self, moment: datetime) -> None:
        """Say in the trail that this key is the authority's from now on."""
        digest = hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).hexdigest()
        with self.store.transaction() as store:
            self._note(store, moment, [(trail.SUCCEED, {"issuer": self.issuer, "sha256": digest})])

    def note_ceremony(self, moment: datetime, record_sha256: str) -> None:
        """Bind the written record of a ceremony into the trail."""
        with self.store.transaction() as store:
            self._note(store, moment, [(trail.CEREMONY, {"record_sha256": record_sha256})])

    def revoke(self, serial: int, moment: datetime, reason: str, recorded_at: datetime | None = None) -> None:
        """Revoke for good as of `moment`; a second revocation changes nothing. In effect with the next CRL.

        What was suspended stays revoked from when it was suspended. `reason` is one of REASONS. Raises
        CertificateUnknown and ReasonUnknown.
        """
        if reason not in REASONS:
            raise ReasonUnknown(f"{reason!r} is no reason; one of {', '.join(REASONS)}")
        self._end(serial, moment, reason, trail.REVOKE, recorded_at or moment)

    def suspend(self, serial: int, moment: datetime, recorded_at: datetime | None = None) -> None:
        """Suspend as of `moment`, until it is released or revoked (certificateHold, RFC 5280, 5.3.1).

        Changes nothing where it is suspended or revoked already. Raises CertificateUnknown.
        """
        self._end(serial, moment, CERTIFICATE_HOLD, trail.HOLD, recorded_at or moment)

    def release(self, serial: int, moment: datetime) -> None:
        """End a suspension. Raises CertificateUnknown, and NotHeld where there is none."""
        with self.store.transaction() as store:
            self._require(store, serial)
            if not store.release(self.name, serial, require_aware(moment)):
                raise NotHeld(f"the certificate {serial:x} is not suspended, so it cannot be released")
            self._note(store, moment, [(trail.RELEASE, {"serial": f"{serial:x}"})])

    def erase(self, identity: str, pseudonym: str, moment: datetime) -> int:
        """Forget certificates and whose they were, once all of them are revoked; how many there were.

        Their serials and statuses stay in the records, and who reads those finds the pseudonym alone. Raises
        CertificateStands.
        """
        with self.store.transaction() as store:
            issued = store.find_by_identity(self.name, identity)
            if any(each.revoked_at is None or each.is_held for each in issued):
                raise CertificateStands(f"{identity} has a certificate that still stands; revoke it first")
            store.erase(self.name, identity, pseudonym)
            self._note(store, moment, [(trail.ERASE, {"serial": f"{each.serial:x}"}) for each in issued])
        return len(issued)

    def make_crl(
        self, moment: datetime, validity: timedelta = CRL_VALIDITY
    ) -> x509.CertificateRevocationList:
        """A new revocation list (RFC 5280, 5) of what this key has issued, recorded before it is returned."""
        return x509.load_der_x509_crl(self.make_list(moment, validity).der)

    def make_list(
        self,
        moment: datetime,
        validity: timedelta = CRL_VALIDITY,
        *,
        shard: int | None = None,
        delta: bool = False,
    ) -> StoredCrl:
        """A new revocation list of what this key has issued, recorded before it is returned.

        Of everything, or of a shard; complete, or what has changed since the newest complete list of the same
        scope (RFC 5280, 5.2.4). Raises BaseListMissing where there is none.
        """
        with self.store.transaction() as store:
            number = store.next_crl_number(self.name)
            base = store.latest_crl(self.name, self.issuer, shard=shard) if delta else None
            if delta and base is None:
                raise BaseListMissing(self.issuer, shard)
            since = None if base is None else base.this_update
            entries = store.listed(self.name, self.issuer, shard=shard, changed_since=since)
            head = crl_head(self.certificate, self._publication, moment, validity, shard, number, base)
            crl = StoredCrl(
                authority=self.name,
                number=number,
                issuer=self.issuer,
                this_update=head.this_update,
                next_update=head.next_update,
                der=build_crl(head, entries, self._key),
                shard=shard,
                base_number=head.base_number,
            )
            self.record_crl(store, crl, moment)
        return crl

    def make_crls(
        self, moment: datetime, validity: timedelta = CRL_VALIDITY
    ) -> dict[str, x509.CertificateRevocationList]:
        """A new list of each key whose certificate is still valid, by the issuer's name."""
        with self.store.transaction() as store:
            valid = self.bound(store).valid_issuers(moment)
            return {each.issuer: each.make_crl(moment, validity) for each in valid}

    def valid_issuers(self, moment: datetime) -> list["Authority"]:
        """This authority with each of its keys whose certificate is still valid, the present one first."""
        former = (each.bound(self.store) for each in self._predecessors())
        return [self, *(each for each in former if each.is_valid(moment))]

    def is_valid(self, moment: datetime) -> bool:
        """Whether this key's certificate has not ended yet; after that the key signs nothing any more."""
        return whole_seconds(moment) <= self.certificate.not_valid_after_utc

    def record_crl(self, store: CertificateStore, crl: StoredCrl, moment: datetime) -> None:
        """Keep a list with its entry in the trail, within the store's transaction."""
        store.record_crl(crl)
        detail: trail.Detail = {
            "number": crl.number,
            "issuer": crl.issuer,
            "shard": crl.shard,
            "base_number": crl.base_number,
            "sha256": hashlib.sha256(crl.der).hexdigest(),
        }
        self._note(store, moment, [(trail.CRL, detail)])

    def of_issuer(self, issuer: str) -> "Authority":
        """This authority with the key of this name, its present or a former one; and the same records."""
        for each in (self, *(() if issuer == self.issuer else self._predecessors())):
            if each.issuer == issuer:
                return each.bound(self.store)
        raise LookupError(f"the authority {self.name!r} has no key {issuer!r}")

    def bound(self, store: CertificateStore) -> "Authority":
        """This authority with other records, such as those that a transaction sees."""
        other = copy(self)
        other.store = store
        return other

    def _checked(self, order: Order) -> ec.EllipticCurvePublicKey:
        profile = order.profile
        if self.name not in profile.authorities:
            raise RequestRefused(
                f"a {profile.name} certificate is issued by {' or '.join(profile.authorities)}, "
                f"not by {self.name}"
            )
        if order.validity_days is not None and not 1 <= order.validity_days <= MAX_VALIDITY_DAYS:
            raise RequestRefused(f"a certificate holds for a day at least, and {MAX_VALIDITY_DAYS} at most")
        return checked_key(order.csr)

    def _make(
        self, places: Mapping[str, int], order: Order, key: ec.EllipticCurvePublicKey, moment: datetime
    ) -> tuple[x509.Certificate, IssuedCertificate]:
        names = self._issuing.names(order.profile, order.identity, order.name)
        status_index = places[order.identity] if order.profile.has_status_index else None
        der = self._issuing.leaf(order.profile, names, key, moment, _validity(order, moment), status_index)
        certificate = x509.load_der_x509_certificate(der)
        return certificate, self._issued(
            certificate, der, order.profile.name, order.identity, moment, status_index
        )

    def _issued(
        self,
        certificate: x509.Certificate,
        der: bytes,
        profile: str,
        identity: str,
        moment: datetime,
        status_index: int | None = None,
    ) -> IssuedCertificate:
        return IssuedCertificate(
            authority=self.name,
            issuer=self.issuer,
            serial=certificate.serial_number,
            profile=profile,
            identity=identity,
            der=der,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            issued_at=require_aware(moment),
            status_index=status_index,
            shard=None if status_index is None else shard_of(status_index),
        )

    def _record(
        self, store: CertificateStore, records: Sequence[IssuedCertificate], moment: datetime
    ) -> None:
        store.record(records)
        self._note(store, moment, [(trail.ISSUE, issue_detail(record)) for record in records])

    def _end(self, serial: int, moment: datetime, reason: str, operation: str, recorded_at: datetime) -> None:
        moment, recorded_at = require_aware(moment), require_aware(recorded_at)
        with self.store.transaction() as store:
            self._require(store, serial)
            if store.revoke(self.name, serial, moment, reason, recorded_at):
                as_of = moment.isoformat(timespec="milliseconds")
                detail = {"serial": f"{serial:x}", "reason": reason, "as_of": as_of}
                self._note(store, recorded_at, [(operation, detail)])

    def _require(self, store: CertificateStore, serial: int) -> None:
        if store.find(self.name, serial) is None:
            raise CertificateUnknown(f"the authority {self.name!r} has issued no certificate {serial:x}")

    def _note(
        self, store: CertificateStore, moment: datetime, done: Sequence[tuple[str, trail.Detail]]
    ) -> None:
        head = store.trail_head(self.name)
        entries = []
        for operation, detail in done:
            entry = next_entry(head, self.name, operation, self._actor, moment, detail)
            entries.append(entry)
            head = entry.head
        store.append_trail(entries)


def _validity(order: Order, moment: datetime) -> timedelta:
    """For how long from `moment` on. Raises RequestRefused where that is no time at all."""
    if order.until is None:
        return timedelta(days=order.validity_days or order.profile.validity_days)
    if require_aware(order.until) <= moment:
        raise RequestRefused(f"a certificate that ends at {order.until.isoformat()} would be over already")
    return order.until - moment


def issue_detail(record: IssuedCertificate) -> trail.Detail:
    """What the trail says of a certificate that was issued: which, and never whose."""
    return {
        "serial": f"{record.serial:x}",
        "issuer": record.issuer,
        "profile": record.profile,
        "sha256": hashlib.sha256(record.der).hexdigest(),
    }
