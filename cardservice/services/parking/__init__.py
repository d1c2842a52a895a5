"""Parking: what a place costs and allows, on street and off, by a tariff and traffic orders."""

from cardservice.services.parking.service import Parking
from cardservice.services.seam import Service

SERVICE: Service = Parking()
