"""Looking at a program from outside: its mappings, where each page is, and what that looks like in words."""
