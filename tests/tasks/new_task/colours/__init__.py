"""A task of another package: which colour a picture has. It is here to see that nothing in `src` need be edited."""
