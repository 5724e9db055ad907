"""Programs that we did not write, on hybrid memory: run, found, measured."""
