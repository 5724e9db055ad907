"""Sweeps: parameters, plan, one worker process per point, and the store they end in."""
