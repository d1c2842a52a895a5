"""The SAM: keys of the card's service applications, sessions under them, and what the service does there."""

from pki.card_keys.authentication import Authentication, CardKey
from pki.card_keys.dialogue import Dialogue, Outcome, transaction_mac_master
from pki.card_keys.diversification import diversify_aes128, diversify_aes192, diversify_under
from pki.card_keys.handover import KeyRequest, seal_masters
from pki.card_keys.masters import (
    Application,
    Masters,
    ReleasedMaster,
    ReleasedMasters,
    ServiceMaster,
    ServiceMasters,
    ServiceRole,
    TerminalMaster,
    TerminalMasters,
    TerminalRole,
)
from pki.card_keys.messaging import Mode, Session
from pki.card_keys.native import NativeAnswer, NativeCommand
from pki.card_keys.orders import ChangeKey, Credit, Order, WriteEntitlement
from pki.card_keys.sam import Sam, ServiceSam, TerminalSam
from pki.card_keys.transaction_mac import TransactionInput, TransactionMac, TransactionMacKey

__all__ = [
    "Application",
    "Authentication",
    "CardKey",
    "ChangeKey",
    "Credit",
    "Dialogue",
    "KeyRequest",
    "Masters",
    "Mode",
    "NativeAnswer",
    "NativeCommand",
    "Order",
    "Outcome",
    "ReleasedMaster",
    "ReleasedMasters",
    "Sam",
    "ServiceMaster",
    "ServiceMasters",
    "ServiceRole",
    "ServiceSam",
    "Session",
    "TerminalMaster",
    "TerminalMasters",
    "TerminalRole",
    "TerminalSam",
    "TransactionInput",
    "TransactionMac",
    "TransactionMacKey",
    "WriteEntitlement",
    "diversify_aes128",
    "diversify_aes192",
    "diversify_under",
    "seal_masters",
    "transaction_mac_master",
]
