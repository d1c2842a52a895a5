"""What an entitlement can say of a card's holder: a closed list, so that nothing else ever stands on a card.

Free school meals, for one, can not: who pays for a meal is a rule of the ledger, and a card shows it to
nobody.
"""

import re
from datetime import date

from pki.errors import StatementMalformed

_PLAIN = frozenset({"companion", "concession:disabled", "concession:older", "resident", "student"})
_AGE_OVER = re.compile(r"age_over_([1-9][0-9]?)")
_BORN_BEFORE = re.compile(r"born_before_([0-9]{4})_([0-9]{2})_([0-9]{2})")
# Of an attraction, pool or library: the provider's own word for it
_MEMBERSHIP = re.compile(r"membership:[a-z][a-z0-9]{0,15}")


def predicate(value: object) -> str:
    """One of: age_over_N, born_before_YYYY_MM_DD, concession:older, concession:disabled, companion, resident,
    student, membership:WORD. Raises StatementMalformed.
    """
    if not isinstance(value, str) or not _is_predicate(value):
        raise StatementMalformed("the predicate is none that an entitlement can state")
    return value


def _is_predicate(text: str) -> bool:
    if text in _PLAIN or _AGE_OVER.fullmatch(text) or _MEMBERSHIP.fullmatch(text):
        return True
    born = _BORN_BEFORE.fullmatch(text)
    return born is not None and _is_date(*(int(part) for part in born.groups()))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
