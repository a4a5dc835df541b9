"""The bundled bird network: its scenes, its training, what it can do, and explainers judged on its world."""
