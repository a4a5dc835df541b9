"""What the task of clicks brings along; the entry point of `sightline.tasks` names its `TASK`."""

from sightline.terminal.tasks import Task, Verb

TASK = Task(
    title="which impressions are clicked, and which fields interact",
    verbs=(
        Verb("train clicks", "sightline.tasks.clicks.command:clicks"),
        Verb("explain clicks", "sightline.tasks.clicks.explain.command:explain"),
        Verb("predict clicks", "sightline.tasks.clicks.predict.command:predict"),
        Verb("logit", "sightline.tasks.clicks.logit.command:logit"),
    ),
    recipe="sightline.tasks.clicks.recipe:ClickRecipe",
    train="sightline.tasks.clicks.train.experiment:train_clicks",
    world="a simulated log, whose interacting pairs of fields are planted",
    data="Frappe, Criteo, Avazu, MovieLens, Open Bandit, Swissmetro, ModeCanada",
    controls=("always the click rate", "logistic regression"),
)
