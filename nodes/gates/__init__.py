"""Quality gates: forty items, each answered with evidence bound to one tree."""
