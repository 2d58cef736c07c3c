"""Dead letters: read, counted, given to their route again, landed in a table."""
