"""What the task brings along."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(title="which colour", verbs=(Verb("train colours", "colours.command:train"),))
