"""What is withheld from a specialist reaches it in no form, whoever repeats it and wherever it looks."""

import random
from pathlib import Path

import pytest

from tests.support.canary_runs import demand_silence, driven


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_nothing_withheld_reaches_a_specialist_in_any_run(tmp_path: Path, race: int, part: int) -> None:
    """Six runs of random rosters, items and plans; `--rounds 67` makes them two hundred."""
    demand_silence(driven(random.Random(f"{race}-{part}").getrandbits(32), tmp_path / "run"))
