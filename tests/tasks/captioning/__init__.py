"""Tests of the captioning task."""
