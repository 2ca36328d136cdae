"""What known programs do with their arguments: what they start, what they touch, what a rule must name."""
