"""Every patch of the table of protections still finds the text that it takes out."""

import runpy

from tests.packaging.source import ROOT


def test_each_patch_finds_its_text_once() -> None:
    table = runpy.run_path(str(ROOT / "benchmarks" / "protections.py"))["PATCHES"]
    lost = [
        (patch.fault, patch.file, old)
        for patch in table
        for old, _ in patch.changes
        if (ROOT / patch.file).read_text(encoding="utf-8").count(old) != 1
    ]
    assert lost == []
    assert len(table) > 50
