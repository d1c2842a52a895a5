"""What a start in production refuses, every objection at once, so that they can be put right at once."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit

from cardservice.config import PREFIX, Settings, is_loopback
from cardservice.errors import SettingsInvalid
from cardservice.staff.options import AS, KEY
from cardservice.staff.options import PASSPHRASE_FILE as STAFF_PASSPHRASE
from pki.clock import OFFSET_VARIABLE
from pki.profiles import EXAMPLE_ARC

# Files that hold a secret.
SECRET_FILES = ("passphrase_file", "token_pin_file", "pay_key_file", "pay_secret_file")
# What stands in documentation, in the stand-in for a provider, and at the top of lists of guessed passwords.
DEFAULT_SECRETS = frozenset(
    {
        *(
            b"changeme",
            b"change-me",
            b"change me",
            b"default",
            b"demo",
            b"example",
            b"passphrase",
            b"password",
        ),
        *(b"admin", b"secret", b"stand-in", b"test", b"000000", b"111111", b"1234", b"12345678", b"123456"),
    }
)
# Of an HMAC-SHA-256's key: with less it can be guessed from one notification. Ours.
LEAST_SECRET_BYTES = 16
# What they do not mean: everything else turns them on.
_OFF = frozenset({"", "0", "false", "no"})
_DEBUG_VARIABLES = ("FLASK_DEBUG", "PYTHONDEVMODE")
_GUNICORN = "GUNICORN_CMD_ARGS"
_KNOWN = frozenset(
    {
        f"{PREFIX}CONFIG",
        AS,
        KEY,
        STAFF_PASSPHRASE,
        *(f"{PREFIX}{each.name.upper()}" for each in fields(Settings)),
    }
)


def unsafe_in_production(
    settings: Settings, oid_arc: str | None = None, bind: str = "", environ: Mapping[str, str] | None = None
) -> list[SettingsInvalid]:
    """What production refuses; `bind`: where it would listen."""
    return [
        *_origins(settings),
        *_secrets(settings),
        *_unknown(os.environ if environ is None else environ),
        *_debugging(settings, os.environ if environ is None else environ),
        *_listening(settings, bind),
        *_roles(settings, oid_arc),
    ]


def _origins(settings: Settings) -> Iterator[SettingsInvalid]:
    for name in ("public_origin", "pay_url"):
        origin = getattr(settings, name)
        if origin is not None and urlsplit(origin).scheme != "https":
            yield SettingsInvalid(name, "must begin with https:// in production")


def _secrets(settings: Settings) -> Iterator[SettingsInvalid]:
    if settings.passphrase is not None:
        yield SettingsInvalid(
            "passphrase", "is seen by every child process; put it in a file and set passphrase_file"
        )
    elif settings.passphrase_file is None:
        yield SettingsInvalid("passphrase_file", "is not set, and nothing else opens the keys")
    for name in SECRET_FILES:
        path: Path | None = getattr(settings, name)
        if path is not None and (wrong := _wrong_with(name, path)):
            yield SettingsInvalid(name, wrong)


def _wrong_with(name: str, path: Path) -> str | None:
    """What is wrong with a file that holds a secret; never what the secret is."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return "can be read by others; chmod 0400 it"
        secret = path.read_bytes().strip()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if not secret:
        return "is empty"
    if secret.lower() in DEFAULT_SECRETS:
        return "holds a secret that everybody knows; make one of your own"
    if name == "pay_secret_file" and len(secret) < LEAST_SECRET_BYTES:
        return f"holds fewer than {LEAST_SECRET_BYTES} characters; make a longer one"
    return None


def _unknown(environ: Mapping[str, str]) -> Iterator[SettingsInvalid]:
    """A name that is misspelt sets nothing, such as a limit, and nobody would see it."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in _KNOWN:
            yield SettingsInvalid(name, "is no setting; docs/operations.md has them all")


def _debugging(settings: Settings, environ: Mapping[str, str]) -> Iterator[SettingsInvalid]:
    for name in _DEBUG_VARIABLES:
        if environ.get(name, "").lower() not in _OFF:
            yield SettingsInvalid(name, "is for looking for faults; unset it")
    if environ.get(_GUNICORN, "").strip():
        yield SettingsInvalid(_GUNICORN, "can change everything that is checked here; unset it")
    if settings.clock_offset_s:
        yield SettingsInvalid(OFFSET_VARIABLE, "is for tests alone; unset it")


def _listening(settings: Settings, bind: str) -> Iterator[SettingsInvalid]:
    """The service speaks plain HTTP: what is in front of it brings TLS, and is known by its address."""
    trusted = [address.strip() for address in settings.forwarded_allow_ips.split(",") if address.strip()]
    if "*" in trusted:
        yield SettingsInvalid("forwarded_allow_ips", "trusts everybody; name the reverse proxy's addresses")
    elif bind and not _is_private(bind) and all(is_loopback(address) for address in trusted):
        yield SettingsInvalid(
            "forwarded_allow_ips",
            f"names no proxy, and {bind} is open to others without TLS; bind to 127.0.0.1,"
            " or name the proxy with TLS that is on another machine",
        )


def _is_private(bind: str) -> bool:
    """Whether only this machine can connect: a Unix socket, or loopback."""
    if bind.startswith("unix:"):
        return True
    host, colon, _ = bind.removeprefix("tcp://").rpartition(":")
    return is_loopback(host if colon else bind)


def _roles(settings: Settings, oid_arc: str | None) -> Iterator[SettingsInvalid]:
    if oid_arc == EXAMPLE_ARC:
        yield SettingsInvalid(
            "pki_dir", f"the scheme uses the example arc {EXAMPLE_ARC}; make one with its own arc"
        )
    if not settings.is_sqlite and settings.owner_database_url == settings.database_url:
        yield SettingsInvalid(
            "database_url",
            "must be a role that owns no table; owner_database_url is the owner's, for init",
        )
