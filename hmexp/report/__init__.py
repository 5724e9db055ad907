"""What a run says: tables, figures, models, advice and one HTML file, all from its stored records."""
