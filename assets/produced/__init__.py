"""What services sent, by stream and day: counted by their producers, reported by one sensor."""
