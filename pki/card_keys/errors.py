"""What can go wrong between a key holder and a card's service applications."""

from pki.errors import PkiError


class CardSessionError(PkiError):
    """Base of what goes wrong between a key holder and a card's service applications."""

    code = "card_session_error"


class CardRefused(CardSessionError):
    """The card answered with an error status, which ends the session."""

    code = "card_refused"

    def __init__(self, status: int) -> None:
        super().__init__(f"the card refused with status {status:02x}; authenticate again")
        self.status = status


class CardNotAuthentic(CardSessionError):
    """The card does not hold the key that was expected of it."""

    code = "card_not_authentic"


class CardAnswerInvalid(CardSessionError):
    """The card's answer is damaged, or was changed on its way; the session has ended."""

    code = "card_answer_invalid"


class CardSessionEnded(CardSessionError):
    """There is no session any more, or it waits for something else."""

    code = "card_session_ended"


class CardOrderInvalid(CardSessionError):
    """An order that no command can be made of."""

    code = "card_order_invalid"


class TransactionMacInvalid(CardSessionError):
    """The Transaction MAC is not this card's over these updates."""

    code = "transaction_mac_invalid"


class CardKeysUnreadable(CardSessionError):
    """What the service sent to a terminal is no answer to its request for keys."""

    code = "card_keys_unreadable"
