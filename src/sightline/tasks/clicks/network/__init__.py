"""The network of clicks: fields to embeddings, embeddings to a utility, utility to a probability."""
