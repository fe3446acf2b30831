"""From records to tables, figures, verdicts and one page."""
