"""What is computed of the points of a run: tables, predictions, advice, cost."""
