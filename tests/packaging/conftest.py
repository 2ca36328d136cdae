"""These tests look at the source tree; a folder that holds the tests alone has nothing to look at."""

from pathlib import Path

collect_ignore_glob = [] if (Path(__file__).parents[2] / "graph").is_dir() else ["test_*.py"]
