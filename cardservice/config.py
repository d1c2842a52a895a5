"""The service's settings: from the environment, over a TOML file, and what production refuses.

A setting `database_url` is `CARDSERVICE_DATABASE_URL` in the environment and `database_url` in the file that
`CARDSERVICE_CONFIG` names; the environment wins.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cardservice.errors import SettingsInvalid
from pki.clock import OFFSET_VARIABLE
from pki.keys import passphrase_from
from pki.profiles import EXAMPLE_ARC

PREFIX = "CARDSERVICE_"


class Mode(StrEnum):
    """Where the service runs; production refuses what is only for trying out."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class TariffApproval(StrEnum):
    """Whether who has loaded a tariff may put it in force."""

    TWO_PEOPLE = "two-people"
    ONE_PERSON = "one-person"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings as given: nothing is opened or connected to yet."""

    mode: Mode
    database_url: str
    # Owns the tables and migrates them; the service itself connects as another role, which owns nothing.
    owner_database_url: str
    pki_dir: Path
    public_origin: str
    # Erases persons; a role that can do nothing else, or else the owner.
    erasure_database_url: str = ""
    # How long details are kept, in days by their class; a class that is not named has its default.
    retention_days: Mapping[str, int] = field(default_factory=dict)
    tariff_approval: TariffApproval = TariffApproval.TWO_PEOPLE
    passphrase_file: Path | None = None
    passphrase: str | None = None
    # Where the service's own keys are on a token whose PIN is not that passphrase
    token_pin_file: Path | None = None
    clock_offset_s: float = 0.0
    # None: one process on SQLite, one for each processor and one more on PostgreSQL.
    workers: int | None = None
    # Of the process on SQLite.
    threads: int = 8
    # That a process on PostgreSQL serves at a time; the proxy must not keep more to it.
    connections: int = 512
    # Addresses of the reverse proxy, for gunicorn; the service itself trusts no forwarded header.
    forwarded_allow_ips: str = "127.0.0.1,::1"
    # The payment provider's address, the key to it, and the secret that its notifications are signed with.
    pay_url: str | None = None
    pay_key_file: Path | None = None
    pay_secret_file: Path | None = None

    def __repr__(self) -> str:
        """The mode alone: the URLs may carry passwords."""
        return f"Settings(mode={self.mode})"

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.database_url.startswith("sqlite")


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises SettingsInvalid, which names the setting."""
    environ = os.environ if environ is None else environ
    values = _from_file(environ.get(f"{PREFIX}CONFIG"))
    for setting in fields(Settings):
        name = f"{PREFIX}{setting.name.upper()}"
        if name in environ:
            values[setting.name] = environ[name]
    if OFFSET_VARIABLE in environ:
        values["clock_offset_s"] = environ[OFFSET_VARIABLE]
    return _parsed(values)


def passphrase_of(settings: Settings) -> bytes:
    """The passphrase of the key files. Raises SettingsInvalid and PassphraseMissing."""
    if settings.passphrase_file is not None:
        return passphrase_from(settings.passphrase_file, "")
    if settings.passphrase:
        return settings.passphrase.encode()
    raise SettingsInvalid("passphrase_file", f"is not set; set {PREFIX}PASSPHRASE_FILE")


def keys_secret_of(settings: Settings) -> bytes:
    """What opens the service's own keys: the PIN of their token, else the passphrase. Raises as above."""
    if settings.token_pin_file is not None:
        return passphrase_from(settings.token_pin_file, "")
    return passphrase_of(settings)


def unsafe_in_production(settings: Settings, oid_arc: str | None = None) -> list[SettingsInvalid]:
    """What production refuses; every objection at once, so that they can be put right at once."""
    found = []
    if urlsplit(settings.public_origin).scheme != "https":
        found.append(SettingsInvalid("public_origin", "must begin with https:// in production"))
    if settings.passphrase is not None:
        found.append(
            SettingsInvalid(
                "passphrase", "is seen by every child process; put it in a file and set passphrase_file"
            )
        )
    if settings.passphrase_file is not None and _others_can_read(settings.passphrase_file):
        found.append(SettingsInvalid("passphrase_file", "can be read by others; chmod 0400 it"))
    for name in ("token_pin_file", "pay_key_file", "pay_secret_file"):
        path = getattr(settings, name)
        if path is not None and _others_can_read(path):
            found.append(SettingsInvalid(name, "can be read by others; chmod 0400 it"))
    if settings.pay_url is not None and urlsplit(settings.pay_url).scheme != "https":
        found.append(SettingsInvalid("pay_url", "must begin with https:// in production"))
    if settings.clock_offset_s:
        found.append(SettingsInvalid(OFFSET_VARIABLE, "is for tests alone; unset it"))
    if oid_arc == EXAMPLE_ARC:
        found.append(
            SettingsInvalid(
                "pki_dir", f"the scheme uses the example arc {EXAMPLE_ARC}; make one with its own arc"
            )
        )
    if not settings.is_sqlite and settings.owner_database_url == settings.database_url:
        found.append(
            SettingsInvalid(
                "database_url",
                "must be a role that owns no table; owner_database_url is the owner's, for init",
            )
        )
    return found


def _from_file(name: str | None) -> dict[str, object]:
    if name is None:
        return {}
    try:
        values: dict[str, object] = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{PREFIX}CONFIG", f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsInvalid(f"{PREFIX}CONFIG", f"{name} is not TOML: {error}") from error
    known = {setting.name for setting in fields(Settings)} - {"passphrase"}
    for key in values:
        if key not in known:
            raise SettingsInvalid(key, f"is not a setting of the file; known are {', '.join(sorted(known))}")
    return values


def _parsed(values: Mapping[str, object]) -> Settings:
    url = _required(values, "database_url")
    return Settings(
        mode=_mode(values.get("mode", "production")),
        database_url=_supported(url),
        owner_database_url=_supported(str(values.get("owner_database_url", url))),
        erasure_database_url=_supported(
            str(values.get("erasure_database_url", values.get("owner_database_url", url)))
        ),
        retention_days=_days(values.get("retention_days", {})),
        tariff_approval=_approval(values.get("tariff_approval", TariffApproval.TWO_PEOPLE)),
        pki_dir=Path(_required(values, "pki_dir")),
        public_origin=_origin(_required(values, "public_origin")),
        passphrase_file=_path(values, "passphrase_file"),
        passphrase=str(values["passphrase"]) if "passphrase" in values else None,
        token_pin_file=_path(values, "token_pin_file"),
        clock_offset_s=_number(values, "clock_offset_s", 0.0),
        workers=int(_number(values, "workers", 1)) if "workers" in values else None,
        threads=int(_number(values, "threads", 8)),
        connections=int(_number(values, "connections", 512)),
        forwarded_allow_ips=str(values.get("forwarded_allow_ips", "127.0.0.1,::1")),
        **_payments(values),
    )


def _payments(values: Mapping[str, object]) -> dict[str, Any]:
    """Where payments go: the address and the key's file together, or neither."""
    if ("pay_url" in values) != ("pay_key_file" in values):
        raise SettingsInvalid("pay_url", "and pay_key_file are set together, or neither")
    return {
        "pay_url": _origin(str(values["pay_url"])) if "pay_url" in values else None,
        "pay_key_file": _path(values, "pay_key_file"),
        "pay_secret_file": _path(values, "pay_secret_file"),
    }


def _required(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise SettingsInvalid(name, f"is not set; set {PREFIX}{name.upper()}")
    return value


def _path(values: Mapping[str, object], name: str) -> Path | None:
    return Path(str(values[name])) if name in values else None


def _mode(value: object) -> Mode:
    try:
        return Mode(str(value))
    except ValueError:
        raise SettingsInvalid("mode", f"{value!r} is neither development nor production") from None


def _approval(value: object) -> TariffApproval:
    try:
        return TariffApproval(str(value))
    except ValueError:
        raise SettingsInvalid("tariff_approval", f"{value!r} is neither two-people nor one-person") from None


def _supported(url: str) -> str:
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise SettingsInvalid("database_url", "must begin with sqlite:/// or postgresql+psycopg://")
    return url


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or parts.path not in {"", "/"}
        or parts.query
    ):
        raise SettingsInvalid("public_origin", "must be an origin such as https://cards.example.org")
    if parts.netloc != parts.netloc.lower():
        raise SettingsInvalid("public_origin", "must be written in lower case, as terminals sign it")
    return f"{parts.scheme}://{parts.netloc}"


def _number(values: Mapping[str, object], name: str, default: float) -> float:
    value = values.get(name, default)
    try:
        return float(str(value))
    except ValueError:
        raise SettingsInvalid(name, f"{value!r} is not a number") from None


def _days(value: object) -> Mapping[str, int]:
    """Days by class: a table of the file, or `travel=56,meals=100` in the environment."""
    if isinstance(value, str):
        value = dict(part.strip().partition("=")[::2] for part in value.split(",") if part.strip())
    if not isinstance(value, dict):
        raise SettingsInvalid("retention_days", "is a table of days by class, such as travel = 56")
    found = {}
    for name, days in value.items():
        if not str(days).isascii() or not str(days).isdigit() or not 0 <= int(days) <= 36_500:
            raise SettingsInvalid("retention_days", f"{name}={days!r} is no number of days up to 36500")
        found[str(name)] = int(days)
    return found


def _others_can_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False
