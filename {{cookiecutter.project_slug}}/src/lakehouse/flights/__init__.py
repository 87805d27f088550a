"""Flights from New York: punctuality of airlines, routes, and the effect of the weather."""
