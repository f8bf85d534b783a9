from tests.upgrade.garden.steps.first import Migration

__all__ = ["Migration"]
