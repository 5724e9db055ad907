"""Fleets: one experiment on many machines, through Dask's `distributed`; records gathered in one folder."""
