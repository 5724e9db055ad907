"""Figures of a run, a module each."""
