"""The proof of an hour: that its rows are all there, once, and what their events say."""
