"""EAT: networks that are taught words, what they say of a picture, and whether it is true."""
