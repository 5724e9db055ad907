"""A client of Redis that asks for what is due, when it is due, and checks every value that comes back."""
