"""Faces of the notebooks."""
