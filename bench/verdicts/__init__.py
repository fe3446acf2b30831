"""What two sets of records, or two sides timed live, come to; and how often that errs."""
