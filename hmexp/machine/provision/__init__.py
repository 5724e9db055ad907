"""From raw persistent or CXL memory to NUMA nodes, and back: read, planned, carried out, verified."""
