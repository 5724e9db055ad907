"""Weights for weighted interleave: from bandwidths to small integers, set for good, verified by measuring."""
