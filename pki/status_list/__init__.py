"""The status of every card in one signed file of some kilobytes, for terminals that are offline.

draft-ietf-oauth-status-list-17, "Token Status List (TSL)", section 5.2: the CWT format.
"""

from pki.status_list.codec import MAX_INDEXES, CardStatus, StatusList, StatusListBuilder
from pki.status_list.token import StatusListToken, open_token, sign_token

__all__ = [
    "MAX_INDEXES",
    "CardStatus",
    "StatusList",
    "StatusListBuilder",
    "StatusListToken",
    "open_token",
    "sign_token",
]
