"""CloudEvents 1.0 as they come over HTTP, read without changing a byte of what they carry."""
