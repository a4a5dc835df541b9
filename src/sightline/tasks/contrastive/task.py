"""What the contrastive task brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="an image encoder, by InfoNCE",
    verbs=(Verb("train contrastive", "sightline.tasks.contrastive.command:contrastive"),),
    recipe="sightline.tasks.contrastive.recipe:ContrastiveRecipe",
    train="sightline.tasks.contrastive.train:train_contrastive",
    world="the aviary, drawn",
    data="none: it embeds drawn birds only, and says so",
    controls=("chance", "the same network untrained"),
)
