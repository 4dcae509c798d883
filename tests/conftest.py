"""What tests share: real data where it lies beside the checkout, and a quiet environment."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real test data (`../shared/data` beside the checkout)."""
    if not SHARED.is_dir():
        pytest.skip("real test data is not there: ../shared/data beside the checkout")
    return SHARED
