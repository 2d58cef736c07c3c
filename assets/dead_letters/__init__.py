"""Landed dead letters: a table per stream, `dead_letters.<stream>`, filled from its `<topic>.dlq`."""
