"""School meals: what a menu offers, sold at a till."""

from cardservice.services.meals.service import Meals
from cardservice.services.seam import Service

SERVICE: Service = Meals()
