"""Issuing certificates."""

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.authority import Order
from pki.cli_support import FILE, answer, certificate_facts, examples, now, on_scheme
from pki.profiles import PROFILES
from pki.scheme import AUTHORITIES, Scheme
from pki.trust import load_csr


@click.command(
    epilog=examples(
        "pki issue scheme --profile terminal --csr bus-12.csr --identity bus-12 --out bus-12.crt",
        "pki issue scheme --profile ocsp-responder --authority cards --csr ocsp.csr --identity ocsp-1",
    )
)
@click.option(
    "--profile", type=click.Choice(sorted(PROFILES)), required=True, help="What the certificate is for."
)
@click.option("--csr", type=FILE, required=True, help="The request, PEM or DER; only its key counts.")
@click.option("--identity", required=True, help="The card's UUID, or the id of the terminal or program.")
@click.option(
    "--authority",
    type=click.Choice(AUTHORITIES),
    help="Which one issues it, of a profile that several may issue.",
)
@click.option("--holder-name", help="Stands beside the identity, of a profile that has a place for it.")
@click.option("--days", type=click.IntRange(min=1), help="Validity; by default the profile's.")
@click.option("--out", type=FILE, help="Write the certificate here instead of printing it.")
@on_scheme
def issue(  # noqa: PLR0917 -- click calls it by names
    scheme: Scheme,
    profile: str,
    csr: Path,
    identity: str,
    authority: str | None,
    holder_name: str | None,
    days: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Issue a certificate for the key of a request."""
    chosen = PROFILES[profile]
    if authority is None and len(chosen.authorities) > 1:
        raise click.UsageError(f"say which authority issues it: --authority {'|'.join(chosen.authorities)}")
    issuer = scheme.authority(authority or chosen.authority)
    order = Order(csr=load_csr(csr), profile=chosen, identity=identity, validity_days=days, name=holder_name)
    (certificate,) = issuer.issue_many([order], now())
    pem = certificate.public_bytes(Encoding.PEM)
    if out is not None:
        files.replace(out, pem)
    facts = certificate_facts(certificate) | {"authority": issuer.name, "profile": profile}
    text = pem.decode().strip() if out is None else f"Wrote {out}."
    answer(as_json, facts | {"identity": identity, "pem": pem.decode()}, text)


COMMANDS = (issue,)
