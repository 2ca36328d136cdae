"""What a specialist can do in its tree: one function a tool."""
