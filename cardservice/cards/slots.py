"""The keys of a card that are certified: which profile goes with which slot, and who gets which."""

from collections.abc import Mapping
from enum import StrEnum

from pki.profiles import CARD_AUTHENTICATION, HOLDER_AUTHENTICATION, SIGNATURE, Profile


class Slot(StrEnum):
    """A key reference, in hex. SP 800-73-5 part 1, 5.1."""

    PIV_AUTHENTICATION = "9A"
    DIGITAL_SIGNATURE = "9C"
    CARD_AUTHENTICATION = "9E"


PROFILE_OF: Mapping[Slot, Profile] = {
    Slot.PIV_AUTHENTICATION: HOLDER_AUTHENTICATION,
    Slot.DIGITAL_SIGNATURE: SIGNATURE,
    Slot.CARD_AUTHENTICATION: CARD_AUTHENTICATION,
}

# Ours. 9E comes last: a card without its certificate is taken by no terminal. A visitor has no account to
# sign in to, and signs nothing.
SLOTS_OF_KIND: Mapping[str, tuple[Slot, ...]] = {
    "citizen": (Slot.PIV_AUTHENTICATION, Slot.DIGITAL_SIGNATURE, Slot.CARD_AUTHENTICATION),
    "young-citizen": (Slot.PIV_AUTHENTICATION, Slot.DIGITAL_SIGNATURE, Slot.CARD_AUTHENTICATION),
    "visitor": (Slot.CARD_AUTHENTICATION,),
    # Lent for a day (`temporary`)
    "temporary": (Slot.CARD_AUTHENTICATION,),
}
