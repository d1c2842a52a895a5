"""A payment provider's servers for where they cannot be reached: GOV.UK Pay's public API, in memory.

It answers as the published OpenAPI document says, for a service's own account with one key. What a person or
a bank does (paying, giving up, disputing) is a method; `fault` has it behave badly for the next request.
"""

from kiosk.pay_stand_in.account import Fault, Pay
from kiosk.pay_stand_in.api import create_app

__all__ = ["Fault", "Pay", "create_app"]
