"""Measured machines as data: profiles captured from runs, and bundles of them that can be published."""
