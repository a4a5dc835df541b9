"""Registers what explains clips with a network of events; it imports nothing heavy."""

from sightline.terminal.intrinsic import INTRINSIC, Intrinsic

CLIPS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")

INTRINSIC.add("event-net", Intrinsic("sightline.tasks.audiovisual.explain.job:explain_clips", CLIPS))
