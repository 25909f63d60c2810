"""``python -m fakeqemu <QEMU command line>``: the process driver, by the slower way in."""

import sys

from fakeqemu.driver.process import main

main(["qemu-system-x86_64", *sys.argv[1:]])
