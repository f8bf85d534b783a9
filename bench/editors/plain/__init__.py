"""A plain Django site whose admin edits the same page: one inline for each type of block. It replicates nothing."""
