"""Chat models a run can use."""
