"""Bandwidth and latency of a region, each number with the proof of where the pages were."""
