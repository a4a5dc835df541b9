"""Small folders in every layout."""

from pathlib import Path

from PIL import Image

NAMES = ("has_bill_shape::dagger", "has_bill_shape::cone", "has_wing_color::red", "has_wing_color::blue")
CERTAIN = {1: (1, 4), 2: (0, 4), 3: (1, 3), 4: (1, 2)}


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def write_cub(root: Path, images: list[tuple[int, int]], rows: dict[int, dict[int, tuple[int, int]]]) -> Path:
    """A folder in CUB's layout: class (from 1) and training flag of every image; per image attribute -> answer."""
    paths = [f"{label:03d}.K/{number}.jpg" for number, (label, _) in enumerate(images, 1)]
    for path in paths:
        picture(root / "images" / path)
    count = max(label for label, _ in images)
    each = list(enumerate(images, 1))
    answers = (
        f"{image} {attribute} {present} {sure} 1.5\n"
        for image, _ in each
        for attribute, (present, sure) in {**CERTAIN, **rows.get(image, {})}.items()
    )
    return write(
        root,
        {
            "images.txt": "".join(f"{number} {path}\n" for number, path in enumerate(paths, 1)),
            "classes.txt": "".join(f"{label} {label:03d}.K\n" for label in range(1, count + 1)),
            "image_class_labels.txt": "".join(f"{number} {label}\n" for number, (label, _) in each),
            "train_test_split.txt": "".join(f"{number} {train}\n" for number, (_, train) in each),
            "bounding_boxes.txt": "".join(f"{number} 0 0 3 4\n" for number, _ in each),
            "parts/parts.txt": "1 beak\n2 left wing\n",
            "parts/part_locs.txt": "1 1 2.0 1.0 1\n",
            "attributes/attributes.txt": "".join(f"{a} {name}\n" for a, name in enumerate(NAMES, 1)),
            "attributes/image_attribute_labels.txt": "".join(answers),
        },
    )
