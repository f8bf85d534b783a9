"""Three releases of one site in one farm."""
