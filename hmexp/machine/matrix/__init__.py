"""The matrix: the CPUs of every node against the memory of every node, measured and held against claims."""
