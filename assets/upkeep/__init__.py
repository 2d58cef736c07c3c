"""Upkeep of tables: hours past their age, snapshots, files that nothing refers to, unfinished uploads."""
