"""Pictures of a classification task: folders, tables, CIFAR, drawn scenes."""
