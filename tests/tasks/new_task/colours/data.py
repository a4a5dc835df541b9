"""Inputs: a file that ends in `.rgb` holds three numbers, the colour of a whole picture."""

from pathlib import Path

from PIL import Image

from sightline.data.openers import opener
from sightline.data.photos import Photo


@opener("colours", ".rgb")
def read_colour(path: Path) -> Photo:
    red, green, blue = map(int, path.read_text().split())
    return Photo(Image.new("RGB", (32, 32), (red, green, blue)), path, (32, 32))
