"""What every test may rely on: hypothesis profiles, and the rule for tests that need an outside program."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("deep", max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

#: marker -> (programs it needs, how to get them)
OUTSIDE: dict[str, tuple[tuple[str, ...], str]] = {
    "real_qemu": (("qemu-system-x86_64",), "apt install qemu-system-x86 (or run make test as root)"),
    "real_qemus": (
        tuple(f"qemu-system-{name}" for name in ("i386", "aarch64", "ppc64", "s390x", "riscv64")),
        "apt install qemu-system-x86 qemu-system-arm qemu-system-ppc qemu-system-misc (or make test as root)",
    ),
    "real_libvirt": (
        ("libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "setpriv"),
        "apt install libvirt-daemon libvirt-clients (or run make test as root)",
    ),
    "browser": (
        ("chromium", "chromedriver"),
        "apt install chromium chromium-driver (or run make test as root)",
    ),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose outside program is missing; in CI that is a failure, so that nothing is lost."""
    for marker, (programs, remedy) in OUTSIDE.items():
        if item.get_closest_marker(marker) is None:
            continue
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            text = f"needs {', '.join(missing)}: {remedy}"
            if os.environ.get("CI"):
                pytest.fail(text, pytrace=False)
            pytest.skip(text)
