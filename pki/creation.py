"""How a scheme begins, and how an authority's key is succeeded."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pki import files
from pki.authority import Authority, random_serial
from pki.description import Description, TokenPlace, read_description
from pki.errors import KeyNotFound, SchemeInvalid
from pki.issuing import self_signed_root
from pki.profiles import EXAMPLE_ARC, ISSUING, ROOT, usages_of_authority
from pki.scheme_folder import ISSUING_VALIDITY, ROOT_CRL_VALIDITY, Scheme, Secret, open_scheme

# In the root's folder, where several people keep its key together: what opens it (`pki.custody`)
CUSTODY = "custody.json"


def create_scheme(
    directory: Path,
    scheme_id: str,
    name: str,
    passphrase: bytes,
    root_passphrase: bytes | None,
    moment: datetime,
    *,
    oid_arc: str = EXAMPLE_ARC,
    public_url: str | None = None,
    token: TokenPlace | None = None,
    actor: str = "pki",
) -> Scheme:
    """Make a scheme: a root, its issuing authorities, and a first revocation list of each.

    `directory` must not exist, or be empty; it appears whole or not at all. `public_url` is where
    certificates and lists will be fetched from, and stands in every certificate. Raises SchemeInvalid.
    """
    described = Description(id=scheme_id, name=name, oid_arc=oid_arc, public_url=public_url, token=token)
    with _appearing(directory, described) as beside:
        scheme = Scheme(beside, passphrase, root_passphrase, actor)
        _begin(scheme, moment)
        make_issuing(scheme, moment)
    return open_scheme(directory, passphrase, root_passphrase, actor)


def make_root(
    directory: Path, described: Description, root_secret: Secret, custody: bytes, moment: datetime, actor: str
) -> Scheme:
    """Make a scheme that has a root and nothing else yet, with the file that its custodians open it by.

    Raises SchemeInvalid.
    """
    with _appearing(directory, described) as beside:
        scheme = Scheme(beside, b"no other key is there", root_secret, actor)
        files.make_private_directory(beside / ROOT)
        files.write_new(beside / ROOT / CUSTODY, custody, mode=0o600)
        _begin(scheme, moment)
    return open_scheme(directory, b"no other key is there", root_secret, actor)


def make_issuing(scheme: Scheme, moment: datetime) -> None:
    """Make the issuing authorities that are missing, with a first revocation list of each, and the root's."""
    root = scheme.authority(ROOT)
    for name in ISSUING:
        if not (scheme.public_dir / f"{name}.crt").exists():
            _certify(scheme, root, name, name, moment)
        if not (scheme.public_dir / f"{name}.crl").exists():
            scheme.publish_crl(name, scheme.authority(name).make_crl(moment))
    scheme.publish_crl(ROOT, root.make_crl(moment, ROOT_CRL_VALIDITY))


def roll_over(scheme: Scheme, name: str, moment: datetime) -> Scheme:
    """Give an issuing authority a new key and certificate, and return the scheme as it is then.

    From then on the new key issues. The former keeps signing revocation lists of what it has issued until its
    certificate ends. What had broken off is taken up. Raises SchemeInvalid for the root.
    """
    if name not in ISSUING:
        raise SchemeInvalid(f"only an issuing authority has a successor: {', '.join(ISSUING)}")
    description = read_description(scheme.directory)
    number = description.generations.get(name, 1) + 1
    issuer = f"{name}-{number}"
    certificate_file = scheme.public_dir / f"{issuer}.crt"
    if not certificate_file.exists():
        _certify(scheme, scheme.authority(ROOT), name, issuer, moment, number)
    succeeded = scheme.with_successor(name, number)
    if name not in scheme.handed_over and not (scheme.public_dir / f"{issuer}.crl").exists():
        authority = succeeded.authority(name)
        authority.note_succession(moment)
        for each, crl in authority.make_crls(moment).items():
            succeeded.publish_crl(each, crl)
    # Last: until then the former key is the present one.
    replace(description, generations=dict(description.generations) | {name: number}).write(scheme.directory)
    return succeeded


@contextmanager
def _appearing(directory: Path, described: Description) -> Iterator[Path]:
    """A folder beside `directory` that takes its name at the end, whole, or is gone."""
    described.check()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise SchemeInvalid(f"{directory} exists already; a scheme is never written over")
    directory.parent.mkdir(parents=True, exist_ok=True)
    beside = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    beside.mkdir(mode=0o700)
    try:
        described.write(beside)
        yield beside
        beside.rename(directory)  # also over an empty directory
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    files.sync_directory(directory.parent)


def _begin(scheme: Scheme, moment: datetime) -> None:
    scheme.public_dir.mkdir(mode=0o755)
    key = _key(scheme, ROOT)
    certificate = self_signed_root(_subject(scheme.name, "Root"), key, scheme.arc, moment, random_serial())
    scheme.publish_certificate(ROOT, certificate)
    files.make_private_directory(scheme.directory / ROOT)
    root = scheme.authority(ROOT)
    root.record_root(moment)
    scheme.publish_crl(ROOT, root.make_crl(moment, ROOT_CRL_VALIDITY))


def _certify(
    scheme: Scheme, root: Authority, name: str, issuer: str, moment: datetime, number: int = 1
) -> None:
    role = name.capitalize() if number == 1 else f"{name.capitalize()} {number}"
    certificate = root.issue_authority(
        _subject(scheme.name, role),
        _key(scheme, issuer).public_key(),
        usages_of_authority(name, scheme.arc),
        identity=issuer,
        moment=moment,
        validity=ISSUING_VALIDITY,
    )
    scheme.publish_certificate(issuer, certificate)


def _key(scheme: Scheme, issuer: str) -> ec.EllipticCurvePrivateKey:
    """The key of this name; made where what broke off has not made it yet."""
    keys = scheme.root_key_store if issuer == ROOT else scheme.key_store
    with suppress(KeyNotFound):
        return keys.private_key(issuer)
    return keys.generate(issuer)


def _subject(scheme_name: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, scheme_name),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{scheme_name} {role}"),
        ]
    )
