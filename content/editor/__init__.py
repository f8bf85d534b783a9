"""What happens between the form of a page and its rows: reading, ordering, saving, previewing."""
