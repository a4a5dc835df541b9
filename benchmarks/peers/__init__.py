"""Agreement with peers: their packages in an environment of their own, and the tests that compare."""
