"""The shapes of requests and answers about a provider's keys."""

from cardservice.api.fields import Bytes, Message
from pki.card_keys.handover import PUBLIC_KEY_BYTES


class KeyRequestSchema(Message):
    """What the keys are sealed for."""

    key = Bytes(
        required=True,
        exactly=PUBLIC_KEY_BYTES,
        metadata={"description": "a public key on P-256 that the terminal has made for this request alone"},
    )


class SealedKeysSchema(Message):
    """The keys, for the terminal alone."""

    sealed = Bytes(required=True, metadata={"description": "HPKE (RFC 9180); see docs/card-keys.md"})
