"""The editors that ``bench.editor`` measures, and the page that all of them edit."""
