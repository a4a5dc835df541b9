"""The version, in a file of its own so that no room has to import the package's front."""

__version__ = "0.1.0"
