"""A scheme: its directory, and how it is made and its keys are succeeded."""

from pki.creation import create_scheme, make_issuing, make_root, roll_over
from pki.description import TokenPlace
from pki.profiles import ROOT
from pki.scheme_folder import (
    AUTHORITIES,
    ISSUING_VALIDITY,
    ROOT_CRL_VALIDITY,
    HandedOver,
    Scheme,
    open_scheme,
    open_token,
)

__all__ = [
    "AUTHORITIES",
    "ISSUING_VALIDITY",
    "ROOT",
    "ROOT_CRL_VALIDITY",
    "HandedOver",
    "Scheme",
    "TokenPlace",
    "create_scheme",
    "make_issuing",
    "make_root",
    "open_scheme",
    "open_token",
    "roll_over",
]
