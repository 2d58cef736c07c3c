"""Sends files of one JSON event a line, and knows after a crash how far it had come."""
