"""Ceremonies: what is done with the root's key, by several people together, and the record of it.

A ceremony is for real use. The root's key is kept by a secret that nobody knows (`pki.custody`). Each leaves
a record in JSON and the same for people to sign, and the record's hash is bound into the root's trail.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import files
from pki.creation import CUSTODY, make_issuing, make_root, roll_over
from pki.custody import custodians, split
from pki.description import Description
from pki.errors import CustodyRefused, SchemeInvalid
from pki.profiles import EXAMPLE_ARC, ISSUING, ROOT
from pki.scheme_folder import Scheme

FOLDER = "ceremonies"
# Ours: 128 bits, as text, so that it is a token's PIN, too
_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who was there."""

    operator: str
    # Those whose passphrases opened the root's key, or now keep it
    custodians: tuple[str, ...]
    witnesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate that was made."""

    issuer: str
    subject: str
    serial: str
    not_before: str
    not_after: str
    sha256: str
    public_key_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is written down."""

    ceremony: str
    scheme: str
    name: str
    oid_arc: str
    public_url: str | None
    at: str
    people: People
    custody: str
    keys: str
    program: str
    certificates: tuple[Certified, ...]
    # The head of the root's trail before this record was bound into it
    root_trail: str


def hold_root_ceremony(
    directory: Path,
    described: Description,
    passphrases: Mapping[str, bytes],
    needed: int,
    people: People,
    moment: datetime,
    token_pin: bytes | None = None,
) -> Path:
    """Make a scheme's root, which `needed` of these people open together; where the record is.

    On a token, the PIN that it has so far is changed for one that nobody knows. Raises SchemeInvalid and
    CustodyRefused.
    """
    require_own_arc(described.oid_arc)
    secret = secrets.token_hex(_SECRET_BYTES).encode()
    custody = split(secret, passphrases, needed)
    if described.token is not None:
        from pki.token import Token  # noqa: PLC0415 -- only where there is a token

        if token_pin is None:
            raise CustodyRefused("the root's token needs the PIN that it has so far, to be changed")
        Token(described.token.module, described.token.root_label, token_pin).change_pin(secret)
    scheme = make_root(directory, described, secret, custody, moment, people.operator)
    return _write_down(scheme, "root", (ROOT,), people, moment)


def hold_issuing_ceremony(scheme: Scheme, people: People, moment: datetime) -> Path:
    """Make the issuing authorities under a root that several people have opened; where the record is.

    Raises CustodyRefused where the root is not kept by several.
    """
    require_own_arc(scheme.arc)
    if custody_of(scheme.directory) is None:
        raise CustodyRefused("this root's key has one passphrase; begin with `pki ceremony root`")
    made = tuple(name for name in ISSUING if not (scheme.public_dir / f"{name}.crt").exists())
    make_issuing(scheme, moment)
    return _write_down(scheme, "issuing", made, people, moment)


def hold_rollover(scheme: Scheme, name: str, people: People, moment: datetime) -> tuple[Scheme, Path]:
    """Give an authority a successor's key; the scheme as it is then, and where the record is."""
    succeeded = roll_over(scheme, name, moment)
    made = succeeded.issuers(name)[-1:]
    return succeeded, _write_down(succeeded, f"rollover-{name}", made, people, moment)


def custody_of(directory: Path) -> bytes | None:
    """The file that several people open the root by, where they do."""
    try:
        return (directory / ROOT / CUSTODY).read_bytes()
    except FileNotFoundError:
        return None


def require_own_arc(arc: str) -> None:
    """Raises SchemeInvalid for the arc that is set aside for examples."""
    if arc == EXAMPLE_ARC or arc.startswith(f"{EXAMPLE_ARC}."):
        raise SchemeInvalid(
            f"{arc} is for examples (RFC 5612), and a ceremony is for real use: give --oid-arc with a number "
            "of your own, which IANA assigns free of charge"
        )


def _write_down(scheme: Scheme, ceremony: str, made: Sequence[str], people: People, moment: datetime) -> Path:
    root = scheme.authority(ROOT)
    custody = custody_of(scheme.directory)
    record = Record(
        ceremony=ceremony,
        scheme=scheme.id,
        name=scheme.name,
        oid_arc=scheme.arc,
        public_url=scheme.public_url,
        at=moment.astimezone(UTC).isoformat(timespec="seconds"),
        people=people,
        custody=_custody_text(custody),
        keys="files" if scheme.token is None else f"tokens of {scheme.token.module}",
        program=f"citizen-card {version('citizen-card')}",
        certificates=tuple(_certified(issuer, scheme.certificate_of(issuer)) for issuer in made),
        root_trail=str(root.store.trail_head(ROOT)),
    )
    content = json.dumps(asdict(record), indent=2, ensure_ascii=False).encode() + b"\n"
    digest = hashlib.sha256(content).hexdigest()
    folder = scheme.directory / FOLDER
    files.make_private_directory(folder)
    path = folder / f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{ceremony}.json"
    files.write_new(path, content, mode=0o600)
    files.replace(path.with_suffix(".txt"), _for_people(record, digest).encode(), mode=0o600)
    root.note_ceremony(moment, digest)
    return path


def _custody_text(custody: bytes | None) -> str:
    if custody is None:
        return "one passphrase"
    names, needed = custodians(custody)
    return f"{needed} of {', '.join(names)}"


def _certified(issuer: str, certificate: x509.Certificate) -> Certified:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certified(
        issuer=issuer,
        subject=certificate.subject.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        public_key_sha256=hashlib.sha256(key).hexdigest(),
    )


def _for_people(record: Record, digest: str) -> str:
    lines = [
        f"Record of a ceremony: {record.ceremony}",
        "",
        f"Scheme       {record.name} ({record.scheme}), object identifiers below {record.oid_arc}",
        f"Published    {record.public_url or 'nowhere'}",
        f"When         {record.at}",
        f"Operator     {record.people.operator}",
        f"Custodians   {', '.join(record.people.custodians) or 'none'}",
        f"Witnesses    {', '.join(record.people.witnesses) or 'none'}",
        f"Root's key   opened by {record.custody}; keys in {record.keys}",
        f"Program      {record.program}",
        f"Root's trail {record.root_trail}",
        "",
    ]
    for made in record.certificates:
        lines += [
            f"{made.issuer}: {made.subject}",
            f"  serial number         {made.serial}",
            f"  valid                 {made.not_before} to {made.not_after}",
            f"  certificate, SHA-256  {_grouped(made.sha256)}",
            f"  public key, SHA-256   {_grouped(made.public_key_sha256)}",
            "",
        ]
    lines += ["The same in JSON, SHA-256:", f"  {_grouped(digest)}", "", "Signed:", ""]
    people = (record.people.operator, *record.people.custodians, *record.people.witnesses)
    lines += [f"  {name:<24} ______________________________" for name in dict.fromkeys(people)]
    return "\n".join(lines) + "\n"


def _grouped(digest: str) -> str:
    """Read aloud more easily."""
    return " ".join(digest[place : place + 8] for place in range(0, len(digest), 8))
