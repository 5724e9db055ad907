"""Campaigns: several notebooks, one papermill run each, gathered in one folder."""
