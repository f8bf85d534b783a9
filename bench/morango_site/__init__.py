"""The records as a model of Morango: what its server and its receiver run, in an environment of their own."""
