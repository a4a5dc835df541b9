"""What the task of events brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="events in video with sound: where the cue is seen and when the sound is",
    verbs=(
        Verb("train events", "sightline.tasks.audiovisual.command:events"),
        Verb("events test", "sightline.tasks.audiovisual.command:negative_test"),
        Verb("events features", "sightline.tasks.audiovisual.features.command:make_features"),
        Verb("events draw", "sightline.tasks.audiovisual.command:draw_clips"),
    ),
    recipe="sightline.tasks.audiovisual.recipe:EventRecipe",
    train="sightline.tasks.audiovisual.train:train_events",
    world="moving shapes and tones, exact in where and when",
    data="clips of AVE, AudioSet and others, decoded and explained; no recogniser of real clips is trained here",
    controls=("uniform", "middle of the picture", "loudness", "picture alone", "sound alone"),
)
