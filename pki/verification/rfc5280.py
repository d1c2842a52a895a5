"""Path building and validation in full (RFC 5280, 6), by `pyhanko-certvalidator`; nothing is fetched.

The library takes any path, any policies and name constraints, indirect and delta lists; it is slow. Its
errors become ours here, and nowhere else: those that have a type by their type, the others by their text,
which tests hold to the pinned version.
"""

import re
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator import CertificateValidator, ValidationContext, errors
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers, derive_quals_from_cert
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    REQUIRE_REVINFO,
    CertRevTrustPolicy,
    PKIXValidationParams,
)

from pki.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRevoked,
    ChainInvalid,
    StatusStale,
    StatusUnknown,
    VerificationError,
)
from pki.verification.errors import (
    CertificateSignatureInvalid,
    CertificateSuspended,
    IssuerUnknown,
    NameRefused,
    PolicyRefused,
)
from pki.verification.names import subject

T = TypeVar("T")

# RFC 5280, 4.2.1.4, as the library calls it
ANY_POLICY = "any_policy"
_HOLD = "certificate_hold"
# How the library says what has no type of its own, and the error that we make of it
_BY_TEXT: tuple[tuple[str, type[VerificationError], str], ...] = (
    ("could not be verified", CertificateSignatureInvalid, "its issuer's key has not signed it"),
    ("do not match the constraints on the public key", CertificateSignatureInvalid, "its signature is odd"),
    ("in the permitted namespace", NameRefused, "an authority above it permits none of its names"),
    ("excluded from the namespace", NameRefused, "an authority above it excludes its names"),
    ("no valid set", PolicyRefused, "no policy that is wanted holds for the whole path"),
    ("policy", PolicyRefused, "its policies are not in order"),
    ("issuer name could not be matched", IssuerUnknown, "its issuer is another one"),
    ("is not a CA", ChainInvalid, "is not an authority's certificate"),
    ("maximum path length", ChainInvalid, "may have no authority below it"),
    ("not allowed to sign certificates", ChainInvalid, "may not sign certificates"),
)
_INTERMEDIATE = re.compile(r"intermediate certificate (\d+)")


@dataclass(frozen=True, slots=True)
class PolicyInputs:
    """The policies that are wanted of a path. RFC 5280, 6.1.1 (c) and (e) to (g)."""

    initial_policies: frozenset[str] = frozenset({ANY_POLICY})
    explicit_policy: bool = False
    inhibit_mapping: bool = False
    inhibit_any_policy: bool = False


NO_POLICY_WANTED = PolicyInputs()


def validate_path(
    target: x509.Certificate,
    anchors: Iterable[x509.Certificate],
    intermediates: Iterable[x509.Certificate],
    crls: Iterable[x509.CertificateRevocationList],
    moment: datetime,
    *,
    status: bool,
    policies: PolicyInputs = NO_POLICY_WANTED,
) -> tuple[x509.Certificate, ...]:
    """The path from an anchor down to the target, both included, if it is valid at `moment`.

    With `status`, each certificate below the anchor must be covered by lists that reach to the moment; one of
    after the moment serves, too, since it holds each revocation with its date. Raises VerificationError.
    """
    given = _Given(target, anchors, intermediates)
    try:
        path = _run(_validate(given, crls, moment, status=status, policies=policies))
        return tuple(given.original(parsed) for parsed in path)
    except errors.PathBuildingError as error:
        sentence = "no path leads from it to a certificate that is trusted"
        raise IssuerUnknown(subject(target), sentence) from error
    except errors.ValidationError as error:
        raise _ours(error, given) from error
    except (ValueError, TypeError, KeyError, OverflowError, NotImplementedError) as error:
        # asn1crypto reads lazily: what is malformed shows wherever it is first looked at
        raise ChainInvalid(subject(target), f"or its path cannot be read ({error})") from error


class _Given:
    """The certificates as they were given, beside asn1crypto's reading, whose dump may differ."""

    def __init__(
        self,
        target: x509.Certificate,
        anchors: Iterable[x509.Certificate],
        intermediates: Iterable[x509.Certificate],
    ) -> None:
        self._originals: list[tuple[asn1_x509.Certificate, x509.Certificate]] = []
        self.target = self._parsed(target)
        self.anchors = [self._parsed(anchor) for anchor in anchors]
        self.intermediates = [self._parsed(intermediate) for intermediate in intermediates]

    def original(self, parsed: asn1_x509.Certificate) -> x509.Certificate:
        """The certificate that this one was read from. Raises ValueError, which cannot be."""
        for known, original in self._originals:
            if known is parsed:
                return original
        raise ValueError("the path has a certificate that was not given")

    def name(self, parsed: asn1_x509.Certificate | None = None) -> str:
        """Whom a certificate is about; without one the target."""
        return subject(self.original(parsed or self.target))

    def _parsed(self, certificate: x509.Certificate) -> asn1_x509.Certificate:
        parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
        self._originals.append((parsed, certificate))
        return parsed


def _trust_anchor(parsed: asn1_x509.Certificate, policies: PolicyInputs) -> CertTrustAnchor:
    """An anchor with what its own certificate limits. RFC 5937, 3.

    RFC 5280 leaves an anchor's extensions aside; but an authority of another scheme that is trusted here
    itself is trusted for no more than it was given.
    """
    names, constraints = parsed.name_constraints_value, parsed.policy_constraints_value
    any_policy = parsed.inhibit_any_policy_value
    if names is None and constraints is None and any_policy is None:
        return CertTrustAnchor(parsed)
    derived = derive_quals_from_cert(parsed).standard_parameters or PKIXValidationParams()
    limits = {} if constraints is None else constraints.native
    parameters = PKIXValidationParams(
        # The caller's, again: the library would take "any" here for the caller's wish
        user_initial_policy_set=policies.initial_policies,
        initial_permitted_subtrees=derived.initial_permitted_subtrees,
        initial_excluded_subtrees=derived.initial_excluded_subtrees,
        # Stricter than a number of certificates to come, and simpler
        initial_explicit_policy=limits.get("require_explicit_policy") is not None,
        initial_policy_mapping_inhibit=limits.get("inhibit_policy_mapping") is not None,
        initial_any_policy_inhibit=any_policy is not None,
    )
    return CertTrustAnchor(parsed, TrustQualifiers(standard_parameters=parameters))


async def _validate(
    given: _Given,
    crls: Iterable[x509.CertificateRevocationList],
    moment: datetime,
    *,
    status: bool,
    policies: PolicyInputs,
) -> ValidationPath:
    context = ValidationContext(
        trust_roots=[_trust_anchor(anchor, policies) for anchor in given.anchors],
        other_certs=given.intermediates,
        crls=[asn1_crl.CertificateList.load(crl.public_bytes(Encoding.DER)) for crl in crls],
        moment=moment.replace(microsecond=0),
        allow_fetching=False,
        revinfo_policy=CertRevTrustPolicy(
            REQUIRE_REVINFO if status else NO_REVOCATION, retroactive_revinfo=True
        ),
        time_tolerance=timedelta(0),
    )
    parameters = PKIXValidationParams(
        user_initial_policy_set=policies.initial_policies,
        initial_policy_mapping_inhibit=policies.inhibit_mapping,
        initial_explicit_policy=policies.explicit_policy,
        initial_any_policy_inhibit=policies.inhibit_any_policy,
    )
    validator = CertificateValidator(given.target, validation_context=context, pkix_params=parameters)
    return await validator.async_validate_path()


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns. It fetches nothing, so it never waits, and needs no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("path validation wanted to wait for something, though it is told to fetch nothing")


def _ours(error: errors.ValidationError, given: _Given) -> VerificationError:
    name = _whom(error, given)
    match error:
        case errors.RevokedError():
            revoked_at, reason = error.revocation_dt, error.reason.native
            kind = CertificateSuspended if reason == _HOLD else CertificateRevoked
            return kind(name, revoked_at, reason)
        case errors.StaleRevinfoError():
            return StatusStale(name, error.time_cutoff)
        case errors.InsufficientRevinfoError():
            return StatusUnknown(name, f"no list covers it ({error.failure_msg})")
        case errors.ExpiredError():
            return CertificateExpired(name, error.expired_dt)
        case errors.NotYetValidError():
            return CertificateNotYetValid(name, error.valid_from)
        case errors.DisallowedAlgorithmError():
            return ChainInvalid(name, "is signed by an algorithm that is not allowed any more")
    for words, kind_of_error, sentence in _BY_TEXT:
        if words in error.failure_msg:
            return kind_of_error(name, sentence)
    return ChainInvalid(name, f"is refused: {error.failure_msg}")


def _whom(error: errors.ValidationError, given: _Given) -> str:
    """The certificate of the path that an error is about: by its date, else by its number in the text."""
    if not isinstance(error, errors.PathValidationError) or error.is_side_validation:
        return given.name()
    path = list(error.current_path)
    for parsed in path[1:]:
        validity = parsed["tbs_certificate"]["validity"]
        if isinstance(error, errors.ExpiredError) and validity["not_after"].native == error.expired_dt:
            return given.name(parsed)
        if isinstance(error, errors.NotYetValidError) and validity["not_before"].native == error.valid_from:
            return given.name(parsed)
    found = _INTERMEDIATE.search(error.failure_msg)
    if found is not None and int(found[1]) < len(path):
        return given.name(path[int(found[1])])
    return given.name()
