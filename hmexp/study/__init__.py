"""Studies: questions other than those of a sweep."""
