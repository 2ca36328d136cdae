"""Scripts that run inside the project's environment; they import nothing of this package."""
