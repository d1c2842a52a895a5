"""Codes by time (RFC 6238): six digits for each half minute, by HMAC-SHA-1, which every app can do."""

import base64
import hmac
from datetime import datetime
from urllib.parse import quote, urlencode

SECRET_BYTES = 20  # RFC 4226, 4, R6: 160 bits are recommended
STEP_S, DIGITS = 30, 6  # RFC 6238, 4.1 and 5.2; RFC 4226, 5.3
# RFC 6238, 5.2: one step of delay; one ahead is ours, for the clock of a phone.
_AROUND = (0, -1, 1)


def code_at(secret: bytes, step: int) -> str:
    """The code of a step: HOTP of its number. RFC 4226, 5.3."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, code: str, moment: datetime, after: int) -> int | None:
    """The step of a code that holds at `moment` and is later than the step `after`; None: it is none.

    Each step is compared, whatever came of the one before.
    """
    now = int(moment.timestamp()) // STEP_S
    given = code.encode("utf-8", "surrogatepass")
    steps = [now + each for each in _AROUND]
    right = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), given)]
    return next((step for step in right if step > after), None)


def address_of(secret: bytes, issuer: str, account: str) -> str:
    """What an authenticator app reads as a picture: `otpauth://totp/…`, as such apps have agreed on."""
    label = quote(f"{issuer}:{account}", safe="")
    asked = {"secret": as_text(secret), "issuer": issuer, "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{label}?{urlencode(asked, quote_via=quote)}"


def as_text(secret: bytes) -> str:
    """The secret as people type it. RFC 4648, 6"""
    return base64.b32encode(secret).decode("ascii").rstrip("=")
