"""The service's settings: from the environment, over a TOML file. What production refuses is in `production`.

A setting `database_url` is `CARDSERVICE_DATABASE_URL` in the environment and `database_url` in the file that
`CARDSERVICE_CONFIG` names; the environment wins.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from cardservice.applications.concessions import STATE_PENSION
from cardservice.errors import SettingsInvalid
from cardservice.settings_values import (
    addresses,
    count,
    database,
    days,
    limit,
    minor,
    names,
    number,
    origin,
    seconds,
)
from pki.clock import OFFSET_VARIABLE
from pki.keys import passphrase_from

PREFIX = "CARDSERVICE_"
LOOPBACK = "127.0.0.1,::1"
# Ours: nobody is a young citizen any longer.
_OLDEST_ADULT_AGE = 30
# Ours: younger children do not act alone; from 18 on nobody acts for somebody else as their guardian.
_YOUNGEST_ALONE, _OF_AGE = 12, 18


class Mode(StrEnum):
    """Where the service runs; production refuses what is only for trying out."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class TariffApproval(StrEnum):
    """Whether who has loaded a tariff may put it in force."""

    TWO_PEOPLE = "two-people"
    ONE_PERSON = "one-person"


@dataclass(frozen=True, slots=True)
class Admin:
    """Where on this machine who watches the service asks."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings as given: nothing is opened or connected to yet.

    Beside each stands what it means to who runs the service: docs/operations.md has it from here
    (`cardservice.settings_page`).
    """

    mode: Annotated[Mode, "`production` (the default) or `development`"]
    database_url: Annotated[
        str, "`sqlite:////srv/cards/ledger.sqlite` or `postgresql+psycopg://cardservice@/cards`"
    ]
    # Owns the tables and migrates them; the service itself connects as another role, which owns nothing.
    owner_database_url: Annotated[str, "the tables' owner, for `init` alone; without it, the same"]
    pki_dir: Annotated[Path, "the scheme's directory, as `pki init` made it"]
    public_origin: Annotated[
        str, "what terminals call the service, such as `https://cards.example.org`; they sign it"
    ]
    erasure_database_url: Annotated[
        str,
        "a role for `cardholder erase` alone, which `init` gives its rights; without it, the owner",
    ] = ""
    # In days by their class; a class that is not named has its default.
    retention_days: Annotated[
        Mapping[str, int],
        "how long details are kept, by class, such as `travel=56,meals=100`; in the file a table",
    ] = field(default_factory=dict)
    tariff_approval: Annotated[
        TariffApproval,
        "`two-people` (the default) or `one-person`: whether who has loaded a tariff may put it in force",
    ] = TariffApproval.TWO_PEOPLE
    refund_limit_minor: Annotated[
        int | None,
        "what staff give back with one refund by themselves, in minor units; above it a second person agrees."
        " Without it, 10000 where there are accounts of staff",
    ] = None
    funding_names: Annotated[
        frozenset[str],
        "who may see the names of those for whom programmes pay, as the audit log names them, such as"
        " `cli:ada,cli:ben`; without it, nobody",
    ] = frozenset()
    young_age: Annotated[int, "from which age somebody has a young citizen's card, 5"] = 5
    adult_age: Annotated[int, "from which age it is a citizen's, 16"] = 16
    guardian_age: Annotated[int, "at which age of a child the rights of its guardians end, 16; up to 18"] = 16
    older_from: Annotated[
        str,
        "from when somebody can have a concession for age: `state-pension`, by England's timetable, or an age"
        " such as `60`",
    ] = STATE_PENSION
    recall_names: Annotated[
        frozenset[str],
        "who may see the names of those who ate what a kitchen recalls, in the same way; without it, nobody",
    ] = frozenset()
    passphrase_file: Annotated[
        Path | None,
        "its first line opens the key files, or is the PIN of the scheme's token; mode 0400",
    ] = None
    passphrase: Annotated[
        str | None, "the same in the environment; development only, and never in the file"
    ] = None
    token_pin_file: Annotated[
        Path | None, "the PIN of the service's own token, where that is another; mode 0400"
    ] = None
    clock_offset_s: Annotated[
        float, f"shifts the clock; development only, and in the environment named `{OFFSET_VARIABLE}`, too"
    ] = 0.0
    # None: one process on SQLite, one for each processor and one more on PostgreSQL.
    workers: Annotated[
        int | None,
        "processes on PostgreSQL; without it, one more than the machine has processors",
    ] = None
    threads: Annotated[int, "threads of the process on SQLite, 8"] = 8
    # The proxy must not keep more to it.
    connections: Annotated[int, "connections that a process on PostgreSQL serves at a time, 512"] = 512
    node_timeout_s: Annotated[
        float,
        "on a Citus cluster, in which time a node answers a call, 2; who lies on one that does not is told to"
        " come again, at once, until it answers",
    ] = 2.0
    # Each process counts for itself.
    terminal_limit: Annotated[
        int, "requests a minute that a process takes from one terminal, 6000; 0: as many as come"
    ] = 6000
    address_limit: Annotated[
        int,
        "the same from one address, of what no terminal has signed, 3000; health is not counted",
    ] = 3000
    sign_in_limit: Annotated[
        int, "attempts a minute at signing in, of staff, that a process takes from one address, 20"
    ] = 20
    # Also whose X-Forwarded-For is believed, for the limit of an address.
    forwarded_allow_ips: Annotated[
        str,
        "addresses of the reverse proxy, with commas; loopback unless it is on another machine,"
        " where `serve` demands it by name",
    ] = LOOPBACK
    published_heads: Annotated[
        str,
        "a file or address with the heads that were published, as `cardservice ledger heads` prints them;"
        " a ledger that lacks one of them starts in recovery",
    ] = ""
    admin_bind: Annotated[
        Admin | None,
        "a loopback address such as `127.0.0.1:9090` for `/metrics`; without it, there are none",
    ] = None
    pay_url: Annotated[
        str | None,
        "the payment provider, such as `https://publicapi.payments.service.gov.uk`;"
        " without it, no payments by card",
    ] = None
    pay_key_file: Annotated[Path | None, "the key to it; mode 0400"] = None
    pay_secret_file: Annotated[
        Path | None,
        "the secret that its notifications to `/notifications/payments` are signed with; mode 0400",
    ] = None

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
        database_url=database("database_url", url),
        owner_database_url=database("owner_database_url", str(values.get("owner_database_url", url))),
        erasure_database_url=database(
            "erasure_database_url",
            str(values.get("erasure_database_url", values.get("owner_database_url", url))),
        ),
        retention_days=days("retention_days", values.get("retention_days", {})),
        tariff_approval=_approval(values.get("tariff_approval", TariffApproval.TWO_PEOPLE)),
        refund_limit_minor=minor("refund_limit_minor", values.get("refund_limit_minor")),
        funding_names=frozenset(names(values.get("funding_names", ""))),
        **_ages(values),
        recall_names=frozenset(names(values.get("recall_names", ""))),
        pki_dir=Path(_required(values, "pki_dir")),
        public_origin=origin("public_origin", _required(values, "public_origin")),
        passphrase_file=_path(values, "passphrase_file"),
        passphrase=str(values["passphrase"]) if "passphrase" in values else None,
        token_pin_file=_path(values, "token_pin_file"),
        clock_offset_s=number(values, "clock_offset_s", 0.0),
        workers=count(values, "workers", 1) if "workers" in values else None,
        threads=count(values, "threads", 8),
        connections=count(values, "connections", 512),
        node_timeout_s=seconds(values, "node_timeout_s", 2.0),
        terminal_limit=limit(values, "terminal_limit", 6000),
        address_limit=limit(values, "address_limit", 3000),
        sign_in_limit=limit(values, "sign_in_limit", 20),
        forwarded_allow_ips=addresses(
            "forwarded_allow_ips", str(values.get("forwarded_allow_ips", LOOPBACK))
        ),
        published_heads=str(values.get("published_heads") or ""),
        admin_bind=_admin(values.get("admin_bind")),
        **_payments(values),
    )


def _ages(values: Mapping[str, object]) -> dict[str, Any]:
    ages = {name: limit(values, name, default) for name, default in (("young_age", 5), ("adult_age", 16))}
    if not ages["young_age"] < ages["adult_age"] <= _OLDEST_ADULT_AGE:
        raise SettingsInvalid("young_age", "and adult_age are ages such as 5 and 16, the first the lower")
    ages["guardian_age"] = limit(values, "guardian_age", 16)
    if not _YOUNGEST_ALONE <= ages["guardian_age"] <= _OF_AGE:
        raise SettingsInvalid("guardian_age", f"is an age from {_YOUNGEST_ALONE} to {_OF_AGE}, such as 16")
    older = str(values.get("older_from", STATE_PENSION))
    if older != STATE_PENSION and not (older.isascii() and older.isdigit() and 18 <= int(older) <= 99):
        raise SettingsInvalid("older_from", f"is {STATE_PENSION!r} or an age such as 60")
    return {**ages, "older_from": older}


def _payments(values: Mapping[str, object]) -> dict[str, Any]:
    """Where payments go: the address and the key's file together, or neither."""
    if ("pay_url" in values) != ("pay_key_file" in values):
        raise SettingsInvalid("pay_url", "and pay_key_file are set together, or neither")
    return {
        "pay_url": origin("pay_url", str(values["pay_url"])) if "pay_url" in values else None,
        "pay_key_file": _path(values, "pay_key_file"),
        "pay_secret_file": _path(values, "pay_secret_file"),
    }


def _admin(value: object) -> Admin | None:
    """Numbers of the service are nobody else's business: on this machine alone."""
    if value is None:
        return None
    host, _, port = str(value).rpartition(":")
    try:
        address, number = ip_address(host.strip("[]")), int(port)
    except ValueError:
        address, number = ip_address("0.0.0.0"), 0  # noqa: S104 - refused below
    if not address.is_loopback or not 0 < number < 65_536:
        raise SettingsInvalid("admin_bind", f"{value!r} is no loopback address such as 127.0.0.1:9090")
    return Admin(str(address), number)


def is_loopback(host: str) -> bool:
    """Whether an address, in brackets or not, is this machine's own; a name is none but `localhost`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


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
