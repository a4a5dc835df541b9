"""The command line: one file per verb, each of them thin. Nothing heavy is imported before a verb needs it."""
