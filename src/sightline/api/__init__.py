"""What `import sightline` gives: explain, explain_pair, embed, and the words of models that can speak."""
