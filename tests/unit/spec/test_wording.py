"""An error in a stream file names the mend, whatever key it is about."""

from __future__ import annotations

import pytest

from keystone_platform.spec.models import Spec
from keystone_platform.spec.wording import FORMS, MODELS


def _models() -> set[type[Spec]]:
    return {model for parent in Spec.__subclasses__() for model in (parent, *parent.__subclasses__())}


def test_no_declared_model_is_without_its_keys() -> None:
    assert set(MODELS.values()) == _models()


@pytest.mark.parametrize("place", MODELS)
def test_no_declared_key_is_without_its_mend(place: tuple[str, ...]) -> None:
    keys = [field.alias or name for name, field in MODELS[place].model_fields.items()]
    assert [key for key in keys if (*place, key) not in FORMS] == []
