"""The rule-based writer behind the model named offline."""
