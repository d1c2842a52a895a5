"""Leisure: who is let in to pools, gyms and attractions, and what that costs."""

from cardservice.services.leisure.service import Leisure
from cardservice.services.seam import Service

SERVICE: Service = Leisure()
