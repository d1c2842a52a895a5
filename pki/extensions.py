"""The extensions of our certificates: what all have, and what depends on the profile, issuer and card."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID

from pki import der
from pki.errors import ExtensionMalformed
from pki.profiles.model import AuthorityProfile, Profile, key_usage
from pki.profiles.oids import STATUS_LIST_INDEX, scheme_policy, under

# Ours: so many cards share a shard of the revocation list: shards grow in number, not in size.
CARDS_PER_SHARD = 65_536
# Ours: the most that a status list has places for; more than a scheme has cards in all its years
MAX_STATUS_INDEX = 2**31 - 1

Extensions = list[tuple[x509.ExtensionType, bool]]


@dataclass(frozen=True, slots=True)
class Publication:
    """Where one issuer's certificate, lists and answers are fetched; without a URL, nowhere."""

    public_url: str | None
    issuer: str

    def crl_url(self, shard: int | None) -> str | None:
        """The revocation list of a shard, or the one of the whole issuer."""
        part = "" if shard is None else f"/{shard}"
        return self._url(f"{self.issuer}{part}.crl")

    def delta_url(self, shard: int | None) -> str | None:
        """The newest changes to that list."""
        part = "/delta" if shard is None else f"/{shard}-delta"
        return self._url(f"{self.issuer}{part}.crl")

    def certificate_url(self) -> str | None:
        """The issuer's own certificate."""
        return self._url(f"{self.issuer}.crt")

    def ocsp_url(self) -> str | None:
        """Where status is asked for, of whatever the scheme has issued."""
        return self._url("ocsp")

    def status_list_url(self, number: int) -> str | None:
        """The status list that has the places from `number` times its size."""
        return self._url(f"status/{number}")

    def _url(self, path: str) -> str | None:
        return None if self.public_url is None else f"{self.public_url}/{path}"


def shard_of(status_index: int) -> int:
    """The shard of the revocation list that a card's certificates are in."""
    return status_index // CARDS_PER_SHARD


def authority_extensions(key: ec.EllipticCurvePublicKey, arc: str, profile: AuthorityProfile) -> Extensions:
    """What every authority's certificate has. RFC 5280, 4.2.1.9, 4.2.1.3, 4.2.1.2, 4.2.1.4."""
    return [
        (x509.BasicConstraints(ca=True, path_length=profile.path_length.value), True),
        (key_usage(profile.key_usage.value), True),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
        (_policies(arc), False),
    ]


def profile_extensions(profile: Profile, arc: str) -> Extensions:
    """What the profile alone decides: the same in each of its certificates."""
    extensions: Extensions = [
        # RFC 5280, 4.2.1.9
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (key_usage(profile.key_usage.value), True),
        (x509.ExtendedKeyUsage(profile.usages(arc)), profile.extended_key_usage_critical),
        (_policies(arc), False),
    ]
    if profile.no_status:
        extensions.append((x509.OCSPNoCheck(), False))  # RFC 6960, 4.2.2.2.1
    return extensions


def issuer_extensions(publication: Publication, *, no_status: bool) -> Extensions:
    """Where the issuer's certificate and status are found. RFC 5280, 4.2.2.1; RFC 6960, 3.1."""
    issuer, ocsp = publication.certificate_url(), publication.ocsp_url()
    if issuer is None or ocsp is None:
        return []
    access = [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer)
        )
    ]
    if not no_status:
        location = x509.UniformResourceIdentifier(ocsp)
        access.insert(0, x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location))
    return [(x509.AuthorityInformationAccess(access), False)]


def crl_extensions(publication: Publication, shard: int | None) -> Extensions:
    """Which revocation list the certificate is in. RFC 5280, 4.2.1.13."""
    url = publication.crl_url(shard)
    if url is None:
        return []
    name = x509.UniformResourceIdentifier(url)
    return [(x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)]), False)]


def status_index_extension(arc: str, status_index: int) -> x509.UnrecognizedExtension:
    """A card's place in the status list: ours, not critical. Raises ValueError."""
    return x509.UnrecognizedExtension(under(arc, STATUS_LIST_INDEX), status_index_value(status_index))


def status_index_value(status_index: int) -> bytes:
    """What that extension holds: an INTEGER in DER. Raises ValueError."""
    if not 0 <= status_index <= MAX_STATUS_INDEX:
        raise ValueError(f"a place in the status list is 0 to {MAX_STATUS_INDEX}")
    return der.integer(status_index)


def status_index_of(certificate: x509.Certificate, arc: str) -> int | None:
    """A card's place in the status list, as its certificate says it; None where it says none.

    Raises ExtensionMalformed where the extension is not what we write.
    """
    wanted = under(arc, STATUS_LIST_INDEX)
    for extension in certificate.extensions:
        if extension.oid == wanted:
            raw = extension.value.public_bytes()
            status_index = int.from_bytes(raw[2:], "big")
            if status_index > MAX_STATUS_INDEX or status_index_extension(arc, status_index).value != raw:
                raise ExtensionMalformed(wanted.dotted_string)
            return status_index
    return None


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """RFC 5280, 4.2.1.1."""
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _policies(arc: str) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(scheme_policy(arc), None)])
