"""What Windows lacks, taken away from a process on Unix; nothing else of Windows is tested."""

import os
import subprocess
import sys

from running import ROOT

LINES = (
    "train --length 10 --vocab-size 8 --window 3 --batch 2 --hidden 6 --sequences 4 --out run",
    "train --resume run --sequences 8",
    "predict run 1 2 3",
    "card --cell simple --cell-args features=4 --seeds 1",
)


def test_a_system_without_flock_and_signals_of_unix_trains_resumes_predicts_and_makes_a_card(
    tmp_path,
):
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "without_unix.py", *LINES],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},  # whose locks are of one kind
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\n8/8 sequences" in done.stdout
    assert (tmp_path / "cards" / "simple-features-4" / "card.svg").exists()
    assert done.stdout.splitlines()[-2:] == [
        ". is in use by another process: wait until it has ended, or stop it",
        ".lock is a link, and nothing behind a link is changed: remove it",
    ]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"run", "cards", "cache", ".lock"}
    assert not list(tmp_path.glob("*/.lock"))
