"""A refusal for each request, in the form of its answer: SIP2 has no error of its own."""

from collections.abc import Callable, Mapping, Sequence

from cardservice.sip2.codec import Code, Message, clean

# A message that is still to be encoded: its code, fixed fields and variable ones.
Reply = tuple[Code, tuple[str, ...], Sequence[tuple[str, str]]]
# "Patron status" of nobody: no privilege at all.
NOBODY_LETTERS = "YYYY" + " " * 10
_NONE = "0000"


def refused(asked: Message, stamp: str, institution: str, why: str) -> Reply:
    """Nothing was done, and why."""
    code, fixed, wanted = _REFUSALS[asked.code](stamp)
    empty = {"AO": institution, "AA": clean(asked["AA"]), "AB": clean(asked["AB"])}
    fields = [(name, empty.get(name, "")) for name in wanted]
    if asked.code in (Code.PATRON_STATUS, Code.PATRON_INFORMATION, Code.PATRON_ENABLE, Code.BLOCK_PATRON):
        fields.append(("BL", "N"))
    return code, fixed, [*fields, ("AF", why)]


_Refusal = tuple[Code, tuple[str, ...], tuple[str, ...]]
_PATRON = ("AO", "AA", "AE")
_THING = ("AO", "AA", "AB", "AJ", "AH")
_REFUSALS: Mapping[Code, Callable[[str], _Refusal]] = {
    Code.PATRON_STATUS: lambda t: (Code.PATRON_STATUS_RESPONSE, (NOBODY_LETTERS, "000", t), _PATRON),
    Code.BLOCK_PATRON: lambda t: (Code.PATRON_STATUS_RESPONSE, (NOBODY_LETTERS, "000", t), _PATRON),
    Code.PATRON_ENABLE: lambda t: (Code.PATRON_ENABLE_RESPONSE, (NOBODY_LETTERS, "000", t), _PATRON),
    Code.PATRON_INFORMATION: lambda t: (
        Code.PATRON_INFORMATION_RESPONSE,
        (NOBODY_LETTERS, "000", t, *([_NONE] * 6)),
        _PATRON,
    ),
    Code.CHECKOUT: lambda t: (Code.CHECKOUT_RESPONSE, ("0", "N", "U", "N", t), _THING),
    Code.RENEW: lambda t: (Code.RENEW_RESPONSE, ("0", "N", "U", "N", t), _THING),
    Code.CHECKIN: lambda t: (Code.CHECKIN_RESPONSE, ("0", "N", "U", "N", t), ("AO", "AB", "AQ")),
    Code.END_SESSION: lambda t: (Code.END_SESSION_RESPONSE, ("N", t), ("AO", "AA")),
    Code.FEE_PAID: lambda t: (Code.FEE_PAID_RESPONSE, ("N", t), ("AO", "AA")),
    Code.ITEM_INFORMATION: lambda t: (Code.ITEM_INFORMATION_RESPONSE, ("01", "00", "01", t), ("AB", "AJ")),
    Code.ITEM_STATUS_UPDATE: lambda t: (Code.ITEM_STATUS_UPDATE_RESPONSE, ("0", t), ("AB",)),
    Code.HOLD: lambda t: (Code.HOLD_RESPONSE, ("0", "N", t), ("AO", "AA")),
    Code.RENEW_ALL: lambda t: (Code.RENEW_ALL_RESPONSE, ("0", _NONE, _NONE, t), ("AO",)),
    Code.SC_STATUS: lambda t: (
        Code.ACS_STATUS,
        ("N", "N", "N", "N", "N", "N", "100", "003", t, "2.00"),
        ("AO", "BX"),
    ),
}
