"""Flights from New York: punctuality of airlines, routes, and what the weather does to them."""
