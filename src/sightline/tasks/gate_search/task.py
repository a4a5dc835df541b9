"""What the gate search brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="which blocks of a network deserve a gate (EAN)",
    verbs=(Verb("gates search", "sightline.tasks.gate_search.command:search"),),
    world="none: which gates a network needs is known of no network",
    data="folders of photos",
)
