"""A mark for tests that hold only for the pinned packages."""

import pytest

from boots_from import image
from template.unpinned import unpinned

UNPINNED = unpinned(image.read_template())
# For tests that compare documents with hashes, layout or sizes of the pinned packages.
pinned_only = pytest.mark.skipif(bool(UNPINNED), reason=f"the template has unpinned packages: {'; '.join(UNPINNED)}")
