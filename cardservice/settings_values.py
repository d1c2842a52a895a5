"""Values of settings, as they come from the environment or a file: each refused by the setting's name."""

import math
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from cardservice.errors import SettingsInvalid

Values = Mapping[str, object]
# Trusted by nobody in production (`production`); for trying out it says what it says.
EVERYBODY = "*"


def names(value: object) -> Iterator[str]:
    """Names with commas between them."""
    for name in str(value).split(","):
        if name.strip():
            yield name.strip()


def database(name: str, url: str) -> str:
    """The address of a database of a kind that the service knows. Raises SettingsInvalid."""
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise SettingsInvalid(name, "must begin with sqlite:/// or postgresql+psycopg://")
    return url


def origin(name: str, value: str) -> str:
    """Scheme, host and port. Raises SettingsInvalid."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if (
        not host
        or parts.scheme not in {"http", "https"}
        or parts.path not in {"", "/"}
        or parts.query
        or parts.fragment
        or parts.username is not None
    ):
        raise SettingsInvalid(name, "must be an origin such as https://cards.example.org")
    if parts.netloc != parts.netloc.lower():
        raise SettingsInvalid(name, "must be written in lower case, as terminals sign it")
    return f"{parts.scheme}://{parts.netloc}"


def addresses(name: str, value: str) -> str:
    """IP addresses with commas between them. Raises SettingsInvalid."""
    for address in names(value):
        try:
            _ = address == EVERYBODY or ip_address(address)
        except ValueError:
            raise SettingsInvalid(name, f"{address!r} is no IP address; name each proxy's own") from None
    return value


def number(values: Values, name: str, default: float) -> float:
    """A number that there is. Raises SettingsInvalid."""
    value = values.get(name, default)
    try:
        found = float(str(value))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise SettingsInvalid(name, f"{value!r} is not a number")
    return found


def count(values: Values, name: str, default: int) -> int:
    """How many there are, at least one. Raises SettingsInvalid."""
    value = str(values.get(name, default))
    if not value.isascii() or not value.isdigit() or not int(value):
        raise SettingsInvalid(name, f"{value!r} is not how many: a whole number from 1 on")
    return int(value)


def seconds(values: Values, name: str, default: float) -> float:
    """Some time. Raises SettingsInvalid."""
    value = number(values, name, default)
    if value <= 0:
        raise SettingsInvalid(name, f"{value} is no number of seconds, such as {default:g}")
    return value


def minor(name: str, value: object) -> int | None:
    """Minor units, or None. Raises SettingsInvalid."""
    if value is not None and (not str(value).isascii() or not str(value).isdigit()):
        raise SettingsInvalid(name, f"{value!r} is no number of minor units, such as 10000")
    return None if value is None else int(str(value))


def limit(values: Values, name: str, default: int) -> int:
    """A whole number. Raises SettingsInvalid."""
    value = str(values.get(name, default))
    if not value.isascii() or not value.isdigit():
        raise SettingsInvalid(name, f"{value!r} is no whole number, such as {default}")
    return int(value)


def days(name: str, value: object) -> Mapping[str, int]:
    """Days by class: a table of the file, or `travel=56,meals=100` elsewhere. Raises SettingsInvalid."""
    if isinstance(value, str):
        value = dict(part.strip().partition("=")[::2] for part in value.split(",") if part.strip())
    if not isinstance(value, dict):
        raise SettingsInvalid(name, "is a table of days by class, such as travel = 56")
    found = {}
    for key, lasting in value.items():
        if not str(lasting).isascii() or not str(lasting).isdigit() or not 0 <= int(lasting) <= 36_500:
            raise SettingsInvalid(name, f"{key}={lasting!r} is no number of days up to 36500")
        found[str(key)] = int(lasting)
    return found
