"""The attention modules themselves, each registered under its name."""
