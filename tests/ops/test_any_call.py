"""Operations on whatever tensors there are: any shape, type, layout and mode is right, or refused in a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations import OPERATIONS, WAYS, tried
from symflow.ops import _ext

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:.*vmap.*")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=12, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_it_is_right_or_a_sentence(name, way, random):
    word, text = tried(name, way, random)
    assert word != "fault", text
