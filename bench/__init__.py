"""What is measured on real servers; never part of the tests, since a time depends on the machine."""
