"""Any program on hybrid memory: run it, follow it, move it, find out where it is."""
