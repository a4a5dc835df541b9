"""What the bird task brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="the bundled bird model",
    verbs=(Verb("train birdnet", "sightline.tasks.bird.command:birdnet"),),
    recipe="sightline.tasks.bird.recipe:BirdRecipe",
    train="sightline.tasks.bird.train:train_birdnet",
    world="the aviary, drawn",
    data="none: it knows drawn birds only, and says so",
    controls=("always the most frequent value", "most frequent value |", "its part's cells"),
)
