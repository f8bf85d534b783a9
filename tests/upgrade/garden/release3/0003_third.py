from tests.upgrade.garden.steps.third import Migration

__all__ = ["Migration"]
