"""What the captioning task brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="captions whose words show their regions",
    verbs=(
        Verb("train captions", "sightline.tasks.captioning.command:captions"),
        Verb("caption", "sightline.tasks.captioning.command:caption"),
    ),
    recipe="sightline.tasks.captioning.recipe:CaptionRecipe",
    train="sightline.tasks.captioning.train:train_captions",
    world="generated scenes of coloured shapes, whose relations and right regions are known",
    data="captions of COCO and ten pictures' bottom-up features are read; no captioner of photos was trained",
    controls=(
        "one caption for all pictures",
        "captions of other pictures",
        "captions of the most similar training pictures",
    ),
)
