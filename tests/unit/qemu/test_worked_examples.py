# ruff: noqa: E501 - the lines are as libvirt prints them
"""The two command lines that libvirt 9.0.0 prints for QEMU 7.2, written down as data, and ours beside them.

What differs on purpose: no master key; a user interface is QEMU's own backend, not the descriptor of a tap; paths;
a display whose port is to be chosen is a Unix socket.
"""

from __future__ import annotations

import json
import shlex

from tests.helpers.domains import GOLD, command_line, kept
from virtsim.model import evolve

TYPICAL = r"""
-name guest=typical,debug-threads=on
-S
-machine pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram
-accel tcg
-cpu qemu64
-m 512
-object '{"qom-type":"memory-backend-ram","id":"pc.ram","size":536870912}'
-overcommit mem-lock=off
-smp 2,sockets=2,cores=1,threads=1
-uuid 3c1b6a3e-58a0-4d4e-9f53-6b1f0a0c7d10
-no-user-config
-nodefaults
-chardev socket,id=charmonitor,path=/run/i/monitor.sock,server=on,wait=off
-mon chardev=charmonitor,id=monitor,mode=control
-rtc base=utc,driftfix=slew
-global kvm-pit.lost_tick_policy=delay
-no-hpet
-no-shutdown
-boot strict=on
-device '{"driver":"pcie-root-port","port":16,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x2"}'
-device '{"driver":"pcie-root-port","port":17,"chassis":2,"id":"pci.2","bus":"pcie.0","addr":"0x2.0x1"}'
-device '{"driver":"pcie-root-port","port":18,"chassis":3,"id":"pci.3","bus":"pcie.0","addr":"0x2.0x2"}'
-device '{"driver":"pcie-root-port","port":19,"chassis":4,"id":"pci.4","bus":"pcie.0","addr":"0x2.0x3"}'
-device '{"driver":"pcie-root-port","port":20,"chassis":5,"id":"pci.5","bus":"pcie.0","addr":"0x2.0x4"}'
-device '{"driver":"pcie-root-port","port":21,"chassis":6,"id":"pci.6","bus":"pcie.0","addr":"0x2.0x5"}'
-device '{"driver":"pcie-root-port","port":22,"chassis":7,"id":"pci.7","bus":"pcie.0","addr":"0x2.0x6"}'
-device '{"driver":"pcie-pci-bridge","id":"pci.8","bus":"pci.1","addr":"0x0"}'
-device '{"driver":"pcie-root-port","port":23,"chassis":9,"id":"pci.9","bus":"pcie.0","addr":"0x2.0x7"}'
-device '{"driver":"qemu-xhci","id":"usb","bus":"pci.3","addr":"0x0"}'
-device '{"driver":"virtio-serial-pci","id":"virtio-serial0","bus":"pci.4","addr":"0x0"}'
-blockdev '{"driver":"file","filename":"/srv/vm/disk.qcow2","node-name":"libvirt-2-storage","auto-read-only":true,"discard":"unmap"}'
-blockdev '{"node-name":"libvirt-2-format","read-only":false,"driver":"qcow2","file":"libvirt-2-storage"}'
-device '{"driver":"virtio-blk-pci","bus":"pci.5","addr":"0x0","drive":"libvirt-2-format","id":"virtio-disk0","bootindex":1}'
-device '{"driver":"ide-cd","bus":"ide.0","id":"sata0-0-0"}'
-netdev '{"type":"user","id":"hostnet0"}'
-device '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:11:22:33","bus":"pci.2","addr":"0x0"}'
-chardev pty,id=charserial0
-device '{"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}'
-chardev socket,id=charchannel0,path=/run/i/org.qemu.guest_agent.0,server=on,wait=off
-device '{"driver":"virtserialport","bus":"virtio-serial0.0","nr":1,"chardev":"charchannel0","id":"channel0","name":"org.qemu.guest_agent.0"}'
-device '{"driver":"usb-tablet","id":"input0","bus":"usb.0","port":"1"}'
-audiodev '{"id":"audio1","driver":"none"}'
-vnc unix:/run/i/vnc.sock,audiodev=audio1
-device '{"driver":"virtio-vga","id":"video0","max_outputs":1,"bus":"pcie.0","addr":"0x1"}'
-device '{"driver":"i6300esb","id":"watchdog0","bus":"pci.8","addr":"0x1"}'
-watchdog-action reset
-device '{"driver":"virtio-balloon-pci","id":"balloon0","bus":"pci.6","addr":"0x0"}'
-object '{"qom-type":"rng-random","id":"objrng0","filename":"/dev/urandom"}'
-device '{"driver":"virtio-rng-pci","rng":"objrng0","id":"rng0","bus":"pci.7","addr":"0x0"}'
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-msg timestamp=on
"""

HUGE = r"""
-name guest=huge,debug-threads=on
-S
-machine pc-i440fx-7.2,usb=off,dump-guest-core=off
-accel tcg
-cpu qemu64
-m 411648
-overcommit mem-lock=off
-smp 32,sockets=32,cores=1,threads=1
-object '{"qom-type":"memory-backend-memfd","id":"ram-node0","share":true,"size":215822106624}'
-numa node,nodeid=0,cpus=0-15,memdev=ram-node0
-object '{"qom-type":"memory-backend-memfd","id":"ram-node1","share":true,"size":215822106624}'
-numa node,nodeid=1,cpus=16-31,memdev=ram-node1
-uuid 5a8d3b52-6c0e-4f0c-8a0a-1f6f7f2c1a01
-display none
-no-user-config
-nodefaults
-chardev socket,id=charmonitor,path=/run/i/monitor.sock,server=on,wait=off
-mon chardev=charmonitor,id=monitor,mode=control
-rtc base=utc
-no-shutdown
-no-acpi
-boot strict=on
-device '{"driver":"piix3-usb-uhci","id":"usb","bus":"pci.0","addr":"0x1.0x2"}'
-audiodev '{"id":"audio1","driver":"none"}'
-device '{"driver":"virtio-balloon-pci","id":"balloon0","bus":"pci.0","addr":"0x2"}'
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-msg timestamp=on
"""


def structured(arguments: list[str]) -> list[object]:
    return [json.loads(argument) if argument.startswith("{") else argument for argument in arguments]


def test_typical() -> None:
    argv = command_line(kept((GOLD / "typical.xml").read_text()))
    assert structured(argv[1:]) == structured(shlex.split(TYPICAL))


def test_huge() -> None:
    domain = kept((GOLD / "huge.xml").read_text())
    assert domain.total_memory_kib == 402 * 1024 * 1024
    assert structured(command_line(domain)[1:]) == structured(shlex.split(HUGE))


def test_one_document_with_more_memory_is_still_one_document() -> None:
    domain = kept((GOLD / "minimal.xml").read_text())
    grown = evolve(domain, memory_kib=402 * 1024 * 1024, current_memory_kib=402 * 1024 * 1024)
    argv = command_line(grown)
    assert argv[argv.index("-m") + 1] == "411648"
