"""Reports of the studies."""
