"""Makes scenarios/domains/powerbutton.iso: a guest of 35 bytes that obeys the ACPI power button.

A machine without an operating system ignores ``system_powerdown``. This one boots from a CD: it enables
the power button and sleeps; when the button is pressed it switches the machine off, as a guest does that
was asked to shut down.

The registers are those of the PIIX4's and ICH9's power management block, which SeaBIOS places at port
0x600 on both machine types (SeaBIOS ``PORT_ACPI_PM_BASE``): PM1_STS 0x600, PM1_EN 0x602, PM1_CNT 0x604. A
CD, and not a disk of one sector, because SeaBIOS works out a geometry with no cylinder at all for such a
disk and does not boot it.

Usage: python tools/make_powerbutton_image.py [--check]
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

IMAGE = Path(__file__).resolve().parents[1] / "scenarios" / "domains" / "powerbutton.iso"

#: 16-bit real mode code, loaded by the BIOS at 0000:7c00.
CODE = bytes.fromhex(
    "b80001"  # mov ax, 0x0100      PWRBTN_EN
    "ba0206"  # mov dx, 0x0602      PM1_EN
    "ef"  # out dx, ax
    "fb"  # sti                 the BIOS's timer interrupt wakes us 18 times a second
    "f4"  # wait: hlt
    "ba0006"  # mov dx, 0x0600      PM1_STS
    "ed"  # in ax, dx
    "f6c401"  # test ah, 1          PWRBTN_STS
    "74f6"  # jz wait
    "ba0406"  # mov dx, 0x0604      PM1_CNT
    "b80020"  # mov ax, 0x2000      SLP_EN, sleep type 0: S5 on both machines
    "ef"  # out dx, ax
    "f4"  # off: hlt
    "ebfd"  # jmp off
)

#: Bytes in a sector of a CD, and where on it things are: El Torito 1.0 fixes the boot record's place only.
SECTOR, BOOT_RECORD, CATALOGUE, PROGRAM = 2048, 17, 18, 19


def image() -> bytes:
    """The CD: a boot record and a catalogue ("El Torito" 1.0, no emulation of a disk), and the code."""
    record = b"\0CD001\x01" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", CATALOGUE)
    validation = struct.pack("<BBH24sHBB", 1, 0, 0, b"virtsim", 0, 0x55, 0xAA)
    checksum = -sum(struct.unpack("<16H", validation)) & 0xFFFF
    validation = validation[:28] + struct.pack("<H", checksum) + validation[30:]
    entry = struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, 1, PROGRAM)
    sectors = {
        BOOT_RECORD: record,
        CATALOGUE: validation + entry,
        PROGRAM: CODE.ljust(510, b"\0") + b"\x55\xaa",
    }
    return b"".join(sectors.get(number, b"").ljust(SECTOR, b"\0") for number in range(PROGRAM + 1))


def main() -> int:
    """Write the image, or with ``--check`` say whether it is up to date."""
    if "--check" in sys.argv[1:]:
        if not IMAGE.is_file() or IMAGE.read_bytes() != image():
            print(f"{IMAGE.name} is not what this tool makes: run python tools/make_powerbutton_image.py")
            return 1
        return 0
    IMAGE.write_bytes(image())
    return 0


if __name__ == "__main__":
    sys.exit(main())
