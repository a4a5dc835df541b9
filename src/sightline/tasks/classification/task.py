"""What the classification task brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="a classifier, plain or with an attention module",
    verbs=(Verb("train classify", "sightline.tasks.classification.command:classify"),),
    recipe="sightline.tasks.classification.recipe:ClassifyRecipe",
    train="sightline.tasks.classification.train:train_classify",
    world="the aviary, drawn",
    data="CIFAR, folders of photos",
    controls=("always the most frequent class",),
)
