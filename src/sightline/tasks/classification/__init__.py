"""`sightline train classify`: any classifier with any gate, on folders of pictures, CIFAR, or scenes."""
