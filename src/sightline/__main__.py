"""`python -m sightline` is the command line, where `sightline` is not on the path."""

from sightline.cli.app import main

if __name__ == "__main__":
    main()
