"""Checks of performance: none yet, so a person decides these items."""
