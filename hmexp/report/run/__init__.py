"""A stored run as the report sees it."""
