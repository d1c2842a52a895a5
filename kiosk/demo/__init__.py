"""The demonstration: a town called Ashcombe, its people, and the programs that make it run on one machine."""
