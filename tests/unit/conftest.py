"""Settings of the unit tests."""

from hypothesis import settings

# No deadline for one example: emulated machines run beside these tests.
settings.register_profile("boots-from", deadline=None)
settings.load_profile("boots-from")
