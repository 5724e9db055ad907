"""Regions, the placers that fill them, the proof of where their pages are, and emulated nodes."""
