"""The engine of every training: loop, callbacks, sampling, resuming, augmentation, recipe. It knows no task."""
