"""The inbox of conflicts in Django's admin: what is open, with all sides and their differences; deciding; taking back."""
