"""`staff-card`: cards with which staff sign in to the service, and signing in with them."""

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from pki.trust import load_certificate
from reader_agent import staff_cards
from reader_agent.commands import at_reader, common, transport_secrets
from reader_agent.service_client import TimeLimits
from reader_agent.staff_cards import CardSecrets

_out_option = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="where the request goes"
)
_secrets_option = click.option(
    "--secrets",
    "secrets_file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="the card's own management key and PUK: made for a new card, kept for its next certificate",
)


@click.group("staff-card")
def staff_card() -> None:
    """Make a card with which somebody of the staff signs in, and sign in with it.

    \b
      reader-agent staff-card request --reader ACS --secrets ann.secrets --out ann.csr
      cardservice staff enrol ann --csr ann.csr --out ann.crt
      reader-agent staff-card finish ann.crt --reader ACS --secrets ann.secrets
      reader-agent staff-card sign-in --reader ACS --service https://cards.example.org
    """


@staff_card.command()
@common.reader_option
@_secrets_option
@_out_option
@click.option("--renew", is_flag=True, help="for a card that is in use: its PIN stays, and is asked for")
@at_reader.pin_file_option
@transport_secrets.key_option
@transport_secrets.puk_option
@common.wait_option
@common.as_json_option
@common.telling_errors
def request(
    *,
    reader: str,
    secrets_file: Path,
    out: Path,
    renew: bool,
    pin_file: Path | None,
    transport_key_file: Path | None,
    transport_puk_file: Path | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Have the card make a key, and write the request for its certificate (PKCS #10, PEM).

    It prints the PIN of a new card, once: tell it to the card's holder alone.
    """
    if pin_file is not None and not renew:
        raise click.UsageError("a new card gets a PIN of its own; --pin-file goes with --renew")
    at_reader.require_new(out)
    key, puk = transport_secrets.read_key(transport_key_file), transport_secrets.read_puk(transport_puk_file)
    with at_reader.session(reader, wait_s) as session:
        own = CardSecrets.kept_in(secrets_file)
        pin = at_reader.secret("PIN", pin_file) if renew else None
        with session.exclusive():
            made = staff_cards.request_certificate(session, own, key, puk, pin)
    at_reader.write(out, made.request.public_bytes(Encoding.PEM))
    lines = [f"Wrote {out}: have it certified, and finish the card."]
    if made.pin is not None:
        lines.append(f"Its PIN is {made.pin}: tell the holder alone; it is shown this once.")
    common.show(as_json, {"request": out, "secrets": secrets_file, "pin": made.pin}, lines)


@staff_card.command()
@click.argument("certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common.reader_option
@_secrets_option
@at_reader.pin_file_option
@common.wait_option
@common.as_json_option
@common.telling_errors
def finish(
    certificate: Path, *, reader: str, secrets_file: Path, pin_file: Path | None, wait_s: float, as_json: bool
) -> None:
    """Write the CERTIFICATE for its key to the card."""
    issued = load_certificate(certificate)
    if not secrets_file.exists():
        raise click.UsageError(f"{secrets_file} is not there; it is what `request` has written for this card")
    with at_reader.session(reader, wait_s) as session:
        own, pin = CardSecrets.kept_in(secrets_file), at_reader.secret("PIN", pin_file)
        with session.exclusive():
            staff_cards.finish(session, own, issued, pin)
    value = {"subject": issued.subject.rfc4514_string(), "not_after": issued.not_valid_after_utc}
    common.show(as_json, value, [f"The card signs in as {value['subject']}."])


@staff_card.command("sign-in")
@common.reader_option
@click.option("--service", "service_url", required=True, help="like https://cards.example.org")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="authorities of the service's TLS certificate (default: the public ones)",
)
@at_reader.pin_file_option
@at_reader.pin_pad_option
@common.wait_option
@common.as_json_option
@common.telling_errors
def sign_in(
    *,
    reader: str,
    service_url: str,
    ca_file: str | None,
    pin_file: Path | None,
    pin_pad: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Sign in to the service, and print the session's token, a secret.

    \b
      TOKEN=$(reader-agent staff-card sign-in --reader ACS --service https://cards.example.org)
      curl -H "Authorization: Bearer $TOKEN" https://cards.example.org/v1/staff/me
    """
    with at_reader.connected(reader, wait_s) as (session, pad):
        entry = at_reader.pin_entry(pad, pin_file, None, on_reader=pin_pad)
        done = staff_cards.sign_in(session, entry, service_url, ca_file, TimeLimits())
    # The token alone is on standard output, for a script.
    if not as_json:
        click.echo(f"Signed in as {done.staff}, until {done.ends_at:%Y-%m-%d %H:%M} UTC at most.", err=True)
    value = {"token": done.token, "staff": done.staff, "ends_at": done.ends_at}
    common.show(as_json, value, [done.token])
