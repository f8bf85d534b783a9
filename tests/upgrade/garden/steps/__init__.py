"""The migrations, as classes that the packages ``release1`` to ``release3`` put together."""
