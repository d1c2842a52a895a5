"""The bus validator: tap, and green or red."""

from kiosk.validator.app import ValidatorSettings, builder
from kiosk.validator.trip import Trip, read_trip

__all__ = ["Trip", "ValidatorSettings", "builder", "read_trip"]
