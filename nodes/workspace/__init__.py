"""The workspace room: trusted git, exported trees, environments, confinement and the door for processes."""
