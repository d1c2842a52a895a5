"""The library: who may borrow what and for how long, what lateness costs, and the time at its computers."""

from cardservice.services.library.service import Library
from cardservice.services.seam import Service

SERVICE: Service = Library()
