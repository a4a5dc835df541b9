"""What the attributes task brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="an attribute network (EAT), which says in words what it decides by",
    verbs=(
        Verb("train eat", "sightline.tasks.attributes.command:eat"),
        Verb("audit eat", "sightline.tasks.attributes.audit.command:eat"),
    ),
    recipe="sightline.tasks.attributes.recipe:EatRecipe",
    train="sightline.tasks.attributes.train.experiment:train_eat",
    world="the aviary, drawn",
    data="CUB, AwA2, SUN, tables of photos",
    controls=("always the most frequent class", "By class", "0.5 for whoever"),
)
