"""A dependency that tells all it knows, and a reader that looks for it everywhere."""

from pathlib import Path

import pytest

from tests.support.canary_runs import demand_silence, driven


@pytest.mark.slow
def test_f074_nothing_withheld_reaches_a_specialist(tmp_path: Path) -> None:
    demand_silence(driven(74, tmp_path / "run"))
