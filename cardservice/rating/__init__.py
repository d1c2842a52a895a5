"""Rating: the worker that charges days from their taps, for whichever service keeps `services/rated.py`."""
