"""The first page of each study."""
