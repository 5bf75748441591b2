"""Tasks in this process: each row is stored once, whatever fails or stops the loop."""

import json
import re
import signal
import threading
import time
import types
from concurrent.futures import wait
from typing import NamedTuple
from unittest import mock

import pytest
from running import SMALL, begin, execute
from tiny_memory import toml_of

from echo_jax.engine import grid, progress
from echo_jax.engine.grid import Here, Job, complete, missing
from echo_jax.engine.process import Interrupts, StoppedError
from echo_jax.exceptions import ConfigError, TasksFailedError


class Numbered(NamedTuple):
    """A task, and its row too."""

    number: int
    program: str = "a"

    @property
    def key(self):
        return str(self.number)

    name = key
    work = 1.0


TASKS = [Numbered(number) for number in range(4)]


class Shown:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.told = []

    def at_work(self, task, share):
        self.told.append((task, share))

    def finished(self, task, result):
        self.told.append((task, result))


def half_then_row(task, programs, report):
    report(0.5)
    if programs == "refused":
        raise ConfigError("its program is refused")
    return task


@pytest.mark.parametrize("at_once", [1, 3])
def test_rows_are_stored_as_they_come_and_a_task_that_fails_stops_no_other(at_once):
    tasks = [*TASKS, Numbered(4, "b")]
    job = Job(lambda task: "refused" if task.program == "b" else "fine", half_then_row)
    stored, bar = [], Shown()

    def store(row):
        stored.append(row)
        return f"row {row.number}"

    with pytest.raises(TasksFailedError, match=r"^1 task failed, .*: 4: its program is refused$"):
        complete(job, tasks, Here(at_once), store, bar, Interrupts())
    assert sorted(stored) == TASKS
    assert missing(tasks, stored) == tasks[4:]
    assert {("0", 0.5), ("0", "row 0"), ("4", "failed")} < set(bar.told)


@pytest.mark.parametrize("stop", [StoppedError, KeyboardInterrupt])
def test_what_a_report_raises_ends_all_tasks_and_loses_no_row(stop):
    job, interrupts, stored = Job(lambda _: None, half_then_row), Interrupts(), []

    class Stops(Shown):
        def at_work(self, task, share):
            super().at_work(task, share)
            if task == "1":
                interrupts.signal = signal.SIGINT
                if stop is KeyboardInterrupt:
                    raise stop

    bar = Stops()
    with pytest.raises(stop):
        complete(job, TASKS, Here(), lambda row: stored.append(row) or "", bar, interrupts)
    assert stored == TASKS[: 2 if stop is StoppedError else 1]  # a signal is seen at a report
    assert {task for task, _ in bar.told} == {"0", "1"}


def test_a_task_at_work_ends_at_its_next_report_once_no_outcome_is_wanted():
    begun, ended = threading.Event(), []

    def run(task, programs, report):
        for _ in range(200 * task.number):
            begun.set()
            report(0.5)
            time.sleep(0.01)
        begun.wait(20)
        ended.append(task)
        return task

    coming = Here(2).map(Job(lambda _: None, run), TASKS[:2])
    assert next(coming).row == TASKS[0]
    coming.close()
    assert ended == TASKS[:1]


def test_what_is_done_beside_a_task_that_raises_is_not_lost():
    def run(task, programs, report):
        if task.number:
            raise KeyboardInterrupt
        return task

    coming = Here().map(Job(lambda _: None, run), TASKS[:2])
    with mock.patch.object(grid, "wait", lambda futures, return_when: wait(futures)):
        assert next(coming).row == TASKS[0]
        with pytest.raises(KeyboardInterrupt):
            next(coming)


class Timed(NamedTuple):
    """A task that trains for some seconds a hundred updates, and is scored for ten seconds."""

    name: str
    work: float
    program: str

    @property
    def seconds(self):
        return {"quick": 1.0, "slow": 4.0}[self.program]

    @property
    def reports(self):
        return [self.seconds * (part + 1) for part in range(int(self.work) // 100)]


def events_of(tasks, at_once):
    """When tasks that run so many at once report and end: (time, task, share or None)."""
    free, events = [20.0] * at_once, []  # after compilation
    for task in tasks:
        start = min(free)
        share = 100 / task.work
        events += [(start + t, task, share * (i + 1)) for i, t in enumerate(task.reports)]
        ended = start + task.reports[-1] + 10
        events.append((ended, task, None))
        free[free.index(start)] = ended
    return sorted(events, key=lambda event: event[0])


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_time_left_is_told_within_a_fifth_though_tasks_differ_in_length_and_speed(
    at_once, monkeypatch
):
    """Short tasks first, as in a pilot, of which the score takes most of the time."""
    short = [
        Timed(f"{program} {i}", 300, program) for i in range(6) for program in ("quick", "slow")
    ]
    long = [
        Timed(f"long {program} {i}", 3000, program)
        for i in range(4)
        for program in ("quick", "slow")
    ]
    events, clock, lines = events_of([*short, *long], at_once), [0.0], []
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(perf_counter=lambda: clock[0]))
    say = types.SimpleNamespace(say=lambda line: lines.append((clock[0], line)))
    with grid.Execution(interrupts=say).bar([*short, *long], "card", "updates") as bar:
        for clock[0], task, share in events:
            bar.finished(task.name, "") if share is None else bar.at_work(task.name, share)
    told = [(at, re.search(r"([\d.]+) (s|min) left", line)) for at, line in lines]
    ratios = [
        float(left[1]) * {"s": 1, "min": 60}[left[2]] / (events[-1][0] - at)
        for at, left in told
        if left and at > 60  # from then on both programs have been scored
    ]
    assert len(ratios) > 5
    assert min(ratios) > 0.8
    assert max(ratios) < 1.2


LINES = {
    "sweep.py": [*SMALL, "--sequences", 2000, "--lag", 0, 1, 2, "--window", 3, 4],
    "card.py": ["--cell", "gru", "--cell-args", "features=4", "--only", "by-lag", "--seeds", 5,
                "--protocol", "short.toml"],
}  # fmt: skip


def rows_below(folder):
    """The digests of the rows that a command has written below a folder."""
    lines = [x for path in folder.rglob("*.jsonl") for x in path.read_text().splitlines()]
    return [json.loads(line)["digest"] for line in lines]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("script", LINES)
def test_a_command_that_is_killed_goes_on_to_the_same_rows(script, tmp_path):
    numbers = {"updates": 200, "updates_at_once": 20, "streams": 4, "rates": [0.03]}
    (tmp_path / "short.toml").write_text(toml_of(numbers))
    execute(script, *LINES[script], "--out", "whole", cwd=tmp_path)
    process = begin(script, *LINES[script], "--out", "killed", cwd=tmp_path)
    while process.poll() is None and not rows_below(tmp_path / "killed"):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before, whole = (rows_below(tmp_path / out) for out in ("killed", "whole"))
    assert 0 < len(before) < len(whole)
    execute(script, *LINES[script], "--out", "killed", cwd=tmp_path)
    assert sorted(rows_below(tmp_path / "killed")) == sorted(whole)
