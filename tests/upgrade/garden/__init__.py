"""An app of which there are three releases; the environment variable ``GARDEN_RELEASE`` says which one this process runs."""
