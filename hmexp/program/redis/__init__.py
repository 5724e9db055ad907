"""Redis, measured from its start to its end: the server, its dump, and the study of both."""
