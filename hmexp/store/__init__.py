"""The run directory: records, reader, writer, lock."""
