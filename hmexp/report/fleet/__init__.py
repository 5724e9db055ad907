"""The report of a fleet: what its hosts agree on, which stand out and by what, and what is safe on them."""
