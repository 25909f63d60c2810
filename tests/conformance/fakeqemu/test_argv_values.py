"""Values that options cannot take, and what other architectures refuse: status and words of the real ones.

Each line: the architectures, and the command line.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fakeqemu
from tests.helpers.processes import needs

REFUSED = """
aarch64
aarch64,s390x,ppc64,riscv64 -machine pc
aarch64 -machine virt -cpu foo
s390x,ppc64 -cpu foo
aarch64 -machine virt -smp 513
riscv64 -smp 9
s390x -smp 249
ppc64 -smp 99999
ppc64 -smp 4,threads=3
aarch64 -machine virt -smp 2,dies=2
x86_64 -smp 2,clusters=2
s390x,ppc64 -smp 2,dies=2
s390x,aarch64 -no-hpet
ppc64 -no-acpi
x86_64,s390x -prom-env a=b
x86_64 -semihosting
riscv64 -smbios type=0
x86_64 -machine pc,foo=1
x86_64 -machine pc,usb=foo
x86_64 -machine pc,vmport=foo
x86_64 -machine q35,hmat=1
x86_64 -cpu qemu64,foo=on
x86_64 -cpu qemu64,foo
x86_64 -cpu qemu64,+foo
x86_64 -cpu qemu64,avx=foo
x86_64 -cpu host -accel tcg
x86_64 -accel tcg,thread=foo
x86_64 -accel tcg,foo=1
x86_64 -accel tcg,tb-size=x
x86_64 -append foo
aarch64 -machine virt -append foo
x86_64 -initrd foo
x86_64 -initrd foo -append bar
x86_64 -machine foo -append bar
x86_64 -vnc foo
x86_64 -vnc :1,foo=1
x86_64 -vnc :99999
x86_64 -vnc :
x86_64 -vnc 127.0.0.1:1,password=foo
x86_64 -vnc :1,share=foo
x86_64 -display foo
x86_64 -display none,foo=1
x86_64 -boot foo
x86_64 -boot order=z
x86_64 -boot foo=1
x86_64 -boot menu=foo
x86_64 -boot splash-time=x
x86_64 -rtc foo
x86_64 -rtc base=foo
x86_64 -rtc base=utc,clock=foo
x86_64 -rtc base=utc,driftfix=foo
x86_64 -global foo
x86_64 -global driver=foo
x86_64 -numa foo
x86_64 -numa node,foo=1
x86_64 -numa node,cpus=foo
x86_64 -numa node,nodeid=200
x86_64 -numa node,nodeid=0 -numa node,nodeid=0
x86_64 -numa cpu,node-id=9
x86_64 -numa dist,src=0,dst=1,val=20
x86_64 -smbios foo
x86_64 -smbios type=99
x86_64 -smbios type=1,foo=1
x86_64 -smbios type=1,uuid=foo
x86_64 -vga foo
x86_64 -spice foo
x86_64 -spice port=foo
x86_64 -fw_cfg name=foo
x86_64 -tpmdev foo
x86_64 -tpmdev foo,id=a
x86_64 -tpmdev emulator,id=a
x86_64 -audiodev none
x86_64 -audiodev foo,id=a
x86_64 -audiodev none,id=a,foo=1
x86_64 -sandbox foo
x86_64 -sandbox on,spawn=foo
x86_64 -icount foo
x86_64 -compat foo=1
x86_64 -compat deprecated-input=foo
x86_64 -seed foo
x86_64 -set foo
x86_64 -msg timestamp=foo
x86_64 -overcommit mem-lock=foo
x86_64 -name guest=a,debug-threads=foo
x86_64 -netdev user,id=a,foo=1
x86_64 -device virtio-net-pci,foo=1
x86_64 -device {"driver":"virtio-net-pci","foo":1}
x86_64 -device virtio-net-pci,id=1a
x86_64 -chardev null,id=1a
x86_64 -object iothread,id=1a
x86_64 -object {"qom-type":"iothread","id":"a","foo":1}
x86_64 -object memory-backend-file,id=a,size=1M
x86_64 -chardev null,id=a -mon chardev=a,mode=readline,pretty=on
""".strip().splitlines()
CASES = [
    pytest.param(arch, line.partition(" ")[2], marks=needs(arch))
    for line in REFUSED
    for arch in line.split(" ")[0].split(",")
]


def ended(argv, directory):
    """Exit status and standard error of a program that is to leave by itself."""
    done = subprocess.run(
        argv, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "option"), CASES)
def test_a_value_is_refused_in_the_same_words(tmp_path, arch, option):
    words = ["-S", "-display", "none", "-nodefaults", *option.split()]
    if option.startswith("-display"):
        words = ["-S", "-nodefaults", *option.split()]
    boot = Path(fakeqemu.__file__).parent / "boot.py"
    fake = [sys.executable, "-I", "-S", str(boot), f"/usr/bin/qemu-system-{arch}"]
    assert ended([*fake, *words], tmp_path) == ended([f"/usr/bin/qemu-system-{arch}", *words], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("arch", [pytest.param(a, marks=needs(a)) for a in ("x86_64", "aarch64", "s390x")])
@pytest.mark.parametrize("option", ["-version", "-help", "-machine help", "-cpu help", "-device help"])
def test_what_is_printed_is_the_same(arch, option):
    boot = Path(fakeqemu.__file__).parent / "boot.py"
    said = [
        subprocess.run([*argv, *option.split()], capture_output=True, timeout=20, check=True).stdout
        for argv in (
            [sys.executable, "-I", "-S", str(boot), f"/usr/bin/qemu-system-{arch}"],
            [f"/usr/bin/qemu-system-{arch}"],
        )
    ]
    assert said[0] == said[1]
