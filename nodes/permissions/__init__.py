"""What a specialist may run, touch and fetch: rules by pattern, judged without running or resolving anything."""
