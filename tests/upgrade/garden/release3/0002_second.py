from tests.upgrade.garden.steps.second import Migration

__all__ = ["Migration"]
