"""Moving a running program and following it: what may be moved, how long, and what became of each page."""
