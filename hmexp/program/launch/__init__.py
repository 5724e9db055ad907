"""Starting a program in one of the ways, and attending to it until nothing of it is left."""
