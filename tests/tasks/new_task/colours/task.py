"""What the task brings along."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="which colour a picture has",
    verbs=(Verb("train colours", "colours.command:train"),),
    recipe="colours.recipe:ColourRecipe",
)
