"""The checks, one module for each heading of the checklist."""
