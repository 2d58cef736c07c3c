"""A stream's schema as others see it: published versions, what a change may do, and a first draft from events."""
