"""What the packaged roster's prompts say of tools is true of the tools that each member has."""

import re

import pytest

from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.tools.catalogue import roster_with, tools_of
from backend_coordinator.prompts.specialist_file import TOOLS

WORKING = [member for member in roster_with().specialists if member.role == "specialist"]


@pytest.mark.parametrize("member", WORKING, ids=lambda member: member.name)
def test_a_prompt_names_no_tool_that_its_specialist_does_not_have(member: Specialist) -> None:
    has = tools_of(member).keys()
    named = set(re.findall(r"`(\w+)`", member.prompt)) & TOOLS
    assert named >= {"check", "recall", "report_need", "submit"}
    assert named <= has
    assert member.granted == has, "granted and missing"
