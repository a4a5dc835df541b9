"""The cases of the gallery: what is asked, the code, and what one sees.

The code is what is run: it ends with `figure`, a matplotlib figure or a Pillow image. It runs in `docs/tutorials`, where
the photos are; `toys.py` beside this file trains the small networks of some cases.
"""

# ruff: noqa: E501 - texts and code stand as on the page

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One case.

    Args:
        name: of the picture; where a case has no code of its own, a picture of `docs/assets` with its ending.
        title: the question.
        words: what one sees, in one to three sentences.
        code: Python that leaves `figure`; empty where `command` made the picture.
        command: what made the picture, where that is not this code.
    """

    name: str
    title: str
    words: str
    code: str = ""
    command: str = ""


PHOTO = 'network = sightline.open_model("imagenet")\n'

ROW = """figure, panels = pyplot.subplots(1, len(explanations), figsize=(2.4 * len(explanations), 2.7), layout="constrained")
for panel, item in zip(panels, explanations, strict=True):
    panel.imshow(item.overlay())
    panel.set(title=f"{WHAT}", xticks=[], yticks=[])"""


def row(what: str, look: str = "") -> str:
    """Code that draws one map of each explanation side by side."""
    return ROW.replace("{WHAT}", what).replace("overlay()", f"overlay({look})")


PLOT = "from matplotlib import pyplot\n\n"

CASES: tuple[Case, ...] = (
    Case(
        "layers",
        "One photo, layer by layer",
        "From edges and colours in the first block to the whole bird in the last. The outline holds half of the evidence.",
        PHOTO + 'explanations = sightline.explain(network, "photos/parrot.jpg")\n'
        "figure = explanations.plot(columns=6, max_layers=5)",
    ),
    Case(
        "contrast",
        "Why a dog rather than a cat?",
        "A contrast keeps only what tells two classes apart. Green speaks for the dog, blue for the cat.",
        PHOTO + "explanations = sightline.explain(\n"
        '    network, "photos/dog_and_cat.jpg", target="boxer", contrast="tiger cat", layers=["blocks.3.2", "blocks.4.2", '
        '"blocks.6.0"]\n)\n'
        "figure = explanations.plot(columns=4)",
    ),
    Case(
        "wrong",
        "A wrong prediction",
        "The network calls a burrowing owl a grouse. The barred belly says grouse, the face says owl; "
        "[the tutorial](tutorials/wrong-prediction.md) tests it.",
        PHOTO + "explanations = sightline.explain(\n"
        '    network, "photos/owl.jpg", target="ruffed grouse", contrast="great grey owl", layers=["blocks.4.2", '
        '"blocks.5.3", "blocks.6.0"]\n)\n'
        "figure = explanations.plot(columns=4)",
    ),
    Case(
        "hidden",
        "Hide it and see",
        "The same owl with a blurred belly. Now the owl wins, as the map predicts.",
        PLOT.rstrip()
        + "\nfrom PIL import Image, ImageFilter\n\n"
        + PHOTO
        + 'photo, belly = Image.open("photos/owl.jpg"), (165, 150, 330, 280)\n'
        "photo.paste(photo.filter(ImageFilter.GaussianBlur(14)).crop(belly), belly[:2])\n"
        'classes = ["great grey owl", "ruffed grouse"]\n'
        'explanations = sightline.explain(network, photo, target=classes, layers="last")\n'
        + row("{item.decision.label}, {item.decision.probability:.0%}"),
    ),
    Case(
        "unsure",
        "A photo of a class that the network does not know",
        "There is no crow among its 1,000 classes, and the best guess has a low probability. The three guesses look at the same "
        "bird: the map says where, not whether it is right.",
        PLOT
        + PHOTO
        + 'explanations = sightline.explain(network, "photos/bird.jpg", target="top3", layers="last")\n'
        + row("{item.decision.label}, {item.decision.probability:.0%}"),
    ),
    Case(
        "two-dogs",
        "Two dogs, two classes",
        "The right dog speaks for the Boston bull, the long legs of the left one for the greyhound; its face with the white mark is taken for a Boston bull.",
        PHOTO + "explanations = sightline.explain(\n"
        '    network, "photos/pets.jpg", target="Boston bull", contrast="Italian greyhound", layers=["blocks.4.2", '
        '"blocks.6.0"]\n)\n'
        "figure = explanations.plot(columns=3)",
    ),
    Case(
        "closest",
        "Against the classes that are most alike",
        "Three cats are hard to tell apart. Against its closest classes, what is left is the fur that makes the difference.",
        PHOTO + "explanations = sightline.explain(\n"
        '    network, "photos/cat.jpg", contrast="closest:3", layers=["blocks.3.2", "blocks.4.2", "blocks.6.0"]\n)\n'
        "figure = explanations.plot(columns=4)",
    ),
    Case(
        "tall",
        "A tall picture, not cut",
        "Nothing is cropped or squeezed: the network takes the whole picture at its own shape, and so do the maps.",
        "from dataclasses import replace\n\n" + PHOTO + "preprocess = replace(network.preprocess, "
        'size=(384, 224), resize=None, fit="stretch")\n'
        'explanations = sightline.explain(network, "photos/parrot.jpg", preprocess=preprocess, layers=["blocks.2.1", '
        '"blocks.4.2", "blocks.6.0"])\n'
        "figure = explanations.plot(columns=4)",
    ),
    Case(
        "methods",
        "Methods side by side",
        "Six methods, one decision, one pass for all of the CAM family. They agree on the bird and differ in detail; "
        "[measure](howto/evaluate.md) which to trust.",
        PLOT + PHOTO + 'names = ["lrp", "gradcam", "layercam", "hirescam", "eigencam", "gradxact"]\n'
        'explanations = sightline.explain(network, "photos/parrot.jpg", method=names, layers="last")\n'
        + row("{item.method}", "seen=True"),
    ),
    Case(
        "controls",
        "Controls that know nothing of the network",
        "A centred Gaussian and an edge detector look convincing too. That is why every figure here stands beside them.",
        PLOT + PHOTO + 'names = ["lrp", "gaussian", "edges", "random"]\n'
        'explanations = sightline.explain(network, "photos/cat.jpg", method=names, layers="last")\n'
        + row("{item.method}"),
    ),
    Case(
        "pixels",
        "Down to the pixels",
        "With `layers=` one can go down to the network's own input. Fine, but [less reliable](studies/pixels.md) than the layers.",
        PHOTO + "explanations = sightline.explain(\n"
        '    network, "photos/dog_and_cat.jpg", target="tiger cat", layers=["input", "blocks.1.1", "blocks.6.0"]\n)\n'
        "figure = explanations.plot(columns=4)",
    ),
    Case(
        "similar",
        "Why are two photos alike?",
        "The similarity of two embeddings, explained over both pictures: the cats' faces match, and at an earlier layer the dog's face does, too.",
        "from sightline.api.explain_pair import side_by_side\n\n" + PHOTO + "pair = sightline.explain_pair(\n"
        '    network, "photos/cat.jpg", "photos/dog_and_cat.jpg", layers=["blocks.3.2", "blocks.6.0"]\n)\n'
        "figure = side_by_side(*pair).plot(columns=3)",
    ),
    Case(
        "transformer",
        "A Hugging Face transformer that cheats",
        "A small `ViTForImageClassification`, trained on squares that carry a tag in the corner. LRP shows the tag "
        "beside the square; rollout shows where attention went, for any decision alike.",
        "from toys import NAMES, pictures, trained_vit\n\n"
        "images, _ = pictures(2, tagged=True, seed=2)\n"
        'inputs = {"pixel_values": (images - 0.45) / 0.22}\n'
        "explanations = sightline.explain(\n"
        '    trained_vit(), inputs, target="square", method=["lrp", "rollout"], images=images, sources=NAMES\n)\n'
        "figure = sightline.Explanations(explanations.items[2:]).plot(columns=5)",
    ),
    Case(
        "lightning",
        "A LightningModule of one's own",
        "The same shortcut in a convolutional network inside a wrapper. It does not tell a disc from a square without the tag; "
        "[the tutorial](tutorials/own-model.md) measures how often.",
        "from toys import NAMES, pictures, trained_cnn\n\n"
        "images, _ = pictures(2, tagged=True, seed=2)\n"
        "explanations = sightline.explain(trained_cnn(), images, images=images, labels=NAMES, sources=NAMES)\n"
        "figure = explanations.plot(columns=4)",
    ),
    Case(
        "words",
        "In words",
        "The bundled bird network was taught attributes. It says what it saw, and each phrase has a map of its own.",
        "from importlib.resources import files\n\n"
        'network = sightline.open_model("birdnet")\n'
        'scene = str(files("sightline") / "assets" / "scene.png")\n'
        "explanation = sightline.explain(network, scene).one()\n"
        "phrases = [phrase for phrase in explanation.phrases if phrase.map is not None][:4]\n"
        "maps = [dataclasses.replace(phrase.map, layer=phrase.text) for phrase in phrases]\n"
        'flow = sightline.Flow(tuple(maps), "phrases")\n'
        "figure = dataclasses.replace(explanation, flow=flow).plot(columns=5)",
    ),
    Case(
        "detection.jpg",
        "A detected box",
        "Which pixels found the box, and which named the species? Two questions to a detector, two answers.",
        command="python docs/_gen/decisions_picture.py",
    ),
    Case(
        "segmentation.jpg",
        "A segmented region",
        "Why are these pixels called bird? The evidence lies in and around the region.",
        command="python docs/_gen/decisions_picture.py",
    ),
    Case(
        "text.jpg",
        "A likeness to a text",
        "Two towers, one for pictures and one for text: which part of the picture matches the words.",
        command="python docs/_gen/decisions_picture.py",
    ),
    Case(
        "domains.jpg",
        "A signal, a volume and a clip",
        "The same call for one, three or four axes: a burst in a signal, a ball in a volume, a moving dot in a clip.",
        command="python benchmarks/domains.py --write",
    ),
    Case(
        "outputs.jpg",
        "One number of the output",
        "Not only classes: a single output, up and down, and a class against those most like it.",
        command="python docs/_gen/outputs_picture.py",
    ),
    Case(
        "howto/gates.jpg",
        "What attention gates do",
        "Gates that are built into a network, over depth: how strong they are and what they depend on.",
        command="python docs/_gen/screenshots.py gates",
    ),
)
