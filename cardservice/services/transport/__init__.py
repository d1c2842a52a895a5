"""Public transport: single fares from GTFS with Fares v2."""

from cardservice.services.seam import Service
from cardservice.services.transport.service import Transport

SERVICE: Service = Transport()
