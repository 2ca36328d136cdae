"""Packets of a real run weigh little more than what they must say, and less with digests."""

import json

import pytest

from tests.support.runs import ROOT, python

BENCHMARK = ROOT / "benchmarks" / "packets.py"


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.is_file(), reason="the benchmarks stand beside the sources alone")
def test_every_needed_section_arrives_and_packets_stay_within_their_bounds() -> None:
    done = python(str(BENCHMARK), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["context"] >= 6_000
    assert len(found["tasks"]) == 8
    assert all(row["received"] + row["withheld"] == 10 and row["withheld"] >= 4 for row in found["tasks"])
