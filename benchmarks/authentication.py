"""How long the offline model takes for the coordinator's own example on a new repository, in wall seconds."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("backend-coordinator"))
OBJECTIVE = "Add user authentication system with OAuth2 and JWT"
BOUND = 120.0
"""For two cores, downloads apart."""
LEAST_VERIFIED = 18


def carried_out() -> tuple[float, bool, int]:
    """Seconds, whether it was accepted, and how many items were verified."""
    with tempfile.TemporaryDirectory() as folder:
        command = [COMMAND, "run", OBJECTIVE, "--workspace", f"{folder}/shop", "--init", "--model", "offline", "--json"]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.monotonic() - began
    report = json.loads(done.stdout)
    verified = sum(verdict["verdict"] == "pass" for verdict in report["verdicts"])
    return round(seconds, 1), done.returncode == 0 and report["accepted"], verified


def main() -> int:
    """Prints the better of two runs, the second of which downloads nothing; 1 when it is not good enough."""
    runs = [carried_out()]
    if runs[0][0] > BOUND:
        runs.append(carried_out())
    seconds, accepted, verified = min(runs)
    good = accepted and verified >= LEAST_VERIFIED and seconds <= BOUND
    if "--json" in sys.argv:
        row = {"seconds": seconds, "bound": BOUND, "accepted": accepted, "verified": verified, "good": good}
        sys.stdout.write(json.dumps(row, indent=1) + "\n")
    else:
        told = "accepted" if accepted else "not accepted"
        sys.stdout.write(f"{OBJECTIVE}: {told}, {verified} verified, {seconds} s, {seconds / BOUND:.2f} of the bound\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
