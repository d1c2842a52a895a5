"""OCSP answers that are signed before anybody asks, as files."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from pki import files
from pki.authority import Authority
from pki.cli_support import FOLDER, answer, examples, now, on_scheme, time_text
from pki.ocsp import CertificateStatus, OcspResponder, OcspSigner, SignedBefore
from pki.ocsp.responder import VALIDITY
from pki.profiles import ISSUING, OCSP_RESPONDER
from pki.scheme import Scheme
from pki.signers import ocsp_signer

# RFC 6960, C.2
SUFFIX = ".ors"


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The records of one authority, as `pki.ocsp.StatusSource`."""

    authority: Authority

    def status(self, issuer: str, serial: int) -> CertificateStatus | None:
        found = self.authority.store.status(self.authority.name, serial)
        if found is None or found.issuer != issuer:
            return None
        return CertificateStatus(found.revoked_at, found.reason or "unspecified")


@click.group()
def ocsp() -> None:
    """Sign OCSP answers before anybody asks for them."""


@ocsp.command(
    epilog=examples(
        "pki ocsp presign scheme",
        "pki ocsp presign scheme --authority cards --hours 24 --out /srv/ocsp",
        "openssl ocsp -respin scheme/public/ocsp/cards/5f0c….sha1.ors \\",
        "    -issuer scheme/public/cards.crt -cert card.crt -CAfile scheme/public/root.crt",
    )
)
@click.option("--authority", type=click.Choice(ISSUING), multiple=True, help="May be given again.")
@click.option("--out", type=FOLDER, help="Default DIR/public/ocsp.")
@click.option(
    "--hours",
    type=click.IntRange(1, 24 * 30),
    default=VALIDITY // timedelta(hours=1),
    show_default=True,
    help="How long an answer holds; a revocation is unknown so long to who reads the file.",
)
@on_scheme
def presign(scheme: Scheme, authority: tuple[str, ...], out: Path | None, hours: int, as_json: bool) -> None:
    """Sign the answers about every certificate that has not ended, for who cannot ask or serves files.

    By default of every issuing authority whose records are kept here. Writes ISSUER/SERIAL.sha1.ors and
    ISSUER/SERIAL.sha256.ors, in the place of those before, and removes those of certificates that have ended.
    Run it again well within the hours, and after each revocation. `pki serve` needs none of it: it keeps its
    answers itself. Nobody answers for the root: its revocation list does.
    """
    moment, folder = now(), out or scheme.public_dir / "ocsp"
    names = authority or tuple(name for name in ISSUING if name not in scheme.handed_over)
    facts = [
        _write(scheme, issuer, folder / issuer.issuer, moment, timedelta(hours=hours))
        for name in names
        for issuer in scheme.authority(name).valid_issuers(moment)
    ]
    answer(as_json, {"presigned": facts}, "\n".join(map(_line, facts)))


def _write(
    scheme: Scheme, authority: Authority, folder: Path, moment: datetime, validity: timedelta
) -> dict[str, object]:
    """The files of one key's certificates; files of certificates that have ended are removed."""
    held = ocsp_signer(authority, scheme.key_store, moment)
    signer = OcspSigner(authority.issuer, authority.certificate, held.certificate, held.key)
    responder = OcspResponder([signer], _Recorded(authority), validity=validity, kept=0)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    serials = list(_lasting(authority, moment))
    written, ends = set(), None
    for signed in responder.signed_before(authority.issuer, serials, moment):
        path = folder / _name(signed)
        files.replace(path, signed.answer.der)
        written.add(path)
        ends = signed.answer.next_update
    for path in set(folder.glob(f"*{SUFFIX}")) - written:
        path.unlink()
    return {
        "authority": authority.name,
        "issuer": authority.issuer,
        "folder": str(folder),
        "certificates": len(serials),
        "next_update": None if ends is None else time_text(ends),
    }


def _line(fact: dict[str, object]) -> str:
    until = "" if fact["next_update"] is None else f", good until {fact['next_update']}"
    return f"{fact['folder']}: answers about {fact['certificates']} certificates{until}"


def _lasting(authority: Authority, moment: datetime) -> Iterator[int]:
    """The serial numbers of what this key has signed and has not ended; responders are never asked about."""
    for issued in authority.store.issued(authority.name):
        if (
            issued.issuer == authority.issuer
            and issued.not_after >= moment
            and issued.profile != OCSP_RESPONDER.name
        ):
            yield issued.serial


def _name(signed: SignedBefore) -> str:
    return f"{signed.serial:x}.{signed.hash_name}{SUFFIX}"


COMMANDS = (ocsp,)
