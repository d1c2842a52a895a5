"""The school till: one screen, from a card on the reader to the receipt."""

from kiosk.till.app import TillSettings, builder

__all__ = ["TillSettings", "builder"]
