"""Where ``fakeqemu-system-...`` begins: found by its path, since ``python -I -S`` looks for no packages.

Knows where the package lies: around this very file.
"""

import sys

sys.path.insert(0, __file__.rpartition("/")[0].rpartition("/")[0])

from fakeqemu.driver.process import main

main(sys.argv[1:])
