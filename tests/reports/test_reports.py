import subprocess
import sys

CODE = """
import sys
sys.modules["imageio_ffmpeg"] = None
import sightline.reports
from sightline.reports import sheet
sys.exit("matplotlib.pyplot" in sys.modules or not set(sightline.reports.__all__) <= set(dir(sightline.reports)))
"""


def test_reports_load_without_pyplot_and_without_the_video_extra():
    assert subprocess.run([sys.executable, "-c", CODE], check=False).returncode == 0
