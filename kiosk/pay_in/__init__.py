"""The kiosk where holders pay in: a tap, an amount, the payment provider's page, and what there is then."""

from kiosk.pay_in.app import PayInSettings, builder

__all__ = ["PayInSettings", "builder"]
