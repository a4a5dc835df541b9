"""Networks by name: the catalogue of torchvision and timm, published weights, and our own architectures."""
