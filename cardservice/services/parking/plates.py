"""Number plates: one way to write each, and what stands for a vehicle at a place where no name may stand."""

import hmac
import re
from dataclasses import dataclass, field

from marshmallow import ValidationError

# Ours: what any plate of a country that drives here looks like once spaces, dots and hyphens are gone.
_PLATE = re.compile(r"(?=[A-Z0-9]*[0-9])[A-Z0-9]{2,10}\Z", re.ASCII)
# The current marks of Great Britain (since 2001) are written with a space before their last three letters.
_CURRENT = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z]{3}\Z", re.ASCII)
_LEFT_OUT = str.maketrans("", "", " .-")


def normalised(text: str) -> str:
    """`ab12-cde` as `AB12CDE`; raises ValidationError for what is no plate."""
    plate = text.upper().translate(_LEFT_OUT) if len(text) <= 20 and text.isascii() else ""
    if _PLATE.match(plate) is None:
        raise ValidationError("is not a number plate of 2 to 10 letters and digits")
    return plate


def spoken(plate: str) -> str:
    """As it stands on a vehicle: `AB12 CDE`."""
    return f"{plate[:-3]} {plate[-3:]}" if _CURRENT.match(plate) else plate


@dataclass(frozen=True, slots=True)
class Vehicles:
    """What stands for vehicles in counters and resources, so that no plate is legible there.

    Plates are few enough to try all of them; without the key nobody can.
    """

    key: bytes = field(repr=False)

    def at(self, place: str, plate: str) -> str:
        """Of a vehicle at a place: the first 10 bytes of HMAC-SHA-256, in hexadecimal."""
        return hmac.digest(self.key, f"{place}\0{plate}".encode("ascii"), "sha256")[:10].hex()
