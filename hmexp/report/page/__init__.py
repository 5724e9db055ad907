"""Pages: one HTML file, pieces for notebooks, and the terminal."""
