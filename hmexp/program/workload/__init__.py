"""Workloads: how a program is started, loaded, measured and stopped, by a file or by hand."""
