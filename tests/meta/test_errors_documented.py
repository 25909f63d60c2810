"""Every error class has its paragraph in the reference, and libvirt's prefixes are complete for our codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtsim import errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "errors.md"
CLASSES = [
    entry
    for name in errors.__all__
    if isinstance(entry := getattr(errors, name), type) and issubclass(entry, errors.VirtsimError)
]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_class_has_its_anchor_in_the_docs(error: type[errors.VirtsimError]) -> None:
    assert f'<a id="{error.slug}"></a>' in PAGE.read_text(encoding="utf-8")


def test_slugs_are_unique() -> None:
    slugs = [error.slug for error in CLASSES]

    assert sorted(set(slugs)) == sorted(slugs)
