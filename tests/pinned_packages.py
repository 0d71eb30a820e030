"""Tests that compare documents with the pinned firmware, where the template has another."""

import pytest

from boots_from import image
from template.unpinned import unpinned

UNPINNED = unpinned(image.read_template())
# On what says the hashes, the layout or the sizes of the pinned firmware.
pinned_only = pytest.mark.skipif(bool(UNPINNED), reason=f"not the pinned packages: {'; '.join(UNPINNED)}")
