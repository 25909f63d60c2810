"""What a definition is refused for, in libvirt 9.0.0's words (each compared with ``virsh define``)."""

from __future__ import annotations

import pytest

from tests.helpers.domains import GOLD, command_line, kept
from virtsim.errors import ConfigUnsupported, VirtsimError
from virtsim.model import evolve
from virtsim.model.address import PciAddress, UsbAddress

PC, Q35 = "<os><type machine='pc'>hvm</type></os>", "<os><type machine='q35'>hvm</type></os>"
UEFI = "<os><type machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/srv/fw.fd</loader></os>"
USER = "<interface type='user'>{}</interface>"
VDA = "<disk type='file'>{}<source file='/srv/a'/><target dev='vda'/>{}</disk>"


def document(
    body: str = "", devices: str = "", *, os: str = PC, name: str = "a", memory: str = "65536"
) -> str:
    size = f"<memory>{memory}</memory>" if memory else ""
    return f"<domain type='qemu'><name>{name}</name>{size}{os}{body}<devices>{devices}</devices></domain>"


REFUSED = [
    (document(name="a/b"), "XML error: name a/b cannot contain '/'"),
    (
        document(memory=""),
        "XML error: Memory size must be specified via <memory> or in the <numa> configuration",
    ),
    (
        document("<vcpu current='4'>2</vcpu>"),
        "unsupported configuration: maximum vCPU count must not be less than current vCPU count",
    ),
    (
        document("<vcpu>100000</vcpu>"),
        "unsupported configuration: Maximum CPUs greater than specified machine type limit 255",
    ),
    (document("<vcpu>0</vcpu>"), "internal error: CPU IDs in <numa> exceed the <vcpu> count"),
    (
        document("<cpu><topology sockets='1' cores='3' threads='1'/></cpu>"),
        "unsupported configuration: CPU topology doesn't match maximum vcpu count",
    ),
    (
        document("<cpu mode='custom'><model vendor_id='KVM'>qemu64</model></cpu>"),
        "XML error: vendor_id must be exactly 12 characters long",
    ),
    (
        document("<cpu><feature name='aes'/></cpu>"),
        "XML error: Non-empty feature list specified without CPU model",
    ),
    (
        document("<clock offset='utc'><timer name='platform'/></clock>"),
        "unsupported configuration: unsupported timer type (name) 'platform'",
    ),
    (
        document("<memoryBacking><hugepages/><allocation mode='ondemand'/></memoryBacking>"),
        "unsupported configuration: hugepages are not allowed with memory allocation ondemand",
    ),
    (document(os=UEFI), "unsupported configuration: UEFI requires ACPI on this architecture"),
    (
        document(os="<os><type>hvm</type><nvram>/srv/x</nvram></os>"),
        "no loader path specified and firmware auto selection disabled",
    ),
    (document(os="<os><type machine='microvm'>hvm</type></os>"), "XML error: No PCI buses available"),
    (
        document(os="<os><type>xen</type></os>"),
        "unsupported configuration: Emulator 'qemu-system-x86_64' does not support os type 'xen'",
    ),
    (
        document(devices="<disk><target dev='vda'/></disk>"),
        "missing source information for device vda",
    ),
    (
        document(devices=VDA.format("", "") * 2),
        "XML error: target 'vda' duplicated for disk sources '/srv/a' and '/srv/a'",
    ),
    (
        document(devices="<disk device='cdrom'><target dev='zz'/></disk>"),
        "XML error: Unknown disk name 'zz' and no address specified",
    ),
    (
        document(devices="<disk type='file' device='lun'><source file='/x'/><target dev='sda'/></disk>"),
        "unsupported configuration: disk device='lun' is only valid for block type disk source",
    ),
    (
        document(devices=VDA.format("<driver iothread='7'/>", "")),
        "unsupported configuration: Disk iothread '7' not defined in iothreadid",
    ),
    (
        document(devices=VDA.format("", "<boot order='1'/>") + USER.format("<boot order='1'/>")),
        "unsupported configuration: boot order '1' used for more than one device",
    ),
    (
        document(devices="<interface type='bridge'/>"),
        "XML error: interface type='bridge' requires a 'source' element",
    ),
    (
        document(devices=USER.format("<mtu size='9000'/>")),
        "unsupported configuration: setting MTU on interface type user is not supported yet",
    ),
    (
        document(devices="<video><model type='none'/></video><video><model type='qxl'/></video>"),
        "unsupported configuration: a 'none' video type must be the only video device defined for the domain",
    ),
    (
        document(devices="<video><model type='qxl'/></video><video><model type='vga'/></video>"),
        "unsupported configuration: video type 'vga' is only valid as primary video device",
    ),
    (
        document(devices="<redirdev bus='usb' type='spicevmc'/>"),
        "unsupported configuration: chardev 'spicevmc' not supported without spice graphics",
    ),
    (
        document(devices="<controller type='pci' model='pci-bridge'/>"),
        (
            "XML error: The PCI controller with index='0' must be model='pci-root' for this machine type, "
            "but model='pci-bridge' was found instead"
        ),
    ),
    (
        document(devices=USER.format("<address type='pci' slot='99'/>")),
        "XML error: Invalid PCI address slot='0x63', must be <= 0x1F",
    ),
    (
        document(devices=USER.format("<address type='pci' slot='5'/>") * 2),
        "XML error: Attempted double use of PCI Address 0000:00:05.0",
    ),
    (
        document(devices=USER.format("<address type='pci' slot='1'/>")),
        "XML error: Attempted double use of PCI Address 0000:00:01.0",
    ),
]


@pytest.mark.parametrize(("xml", "text"), REFUSED, ids=lambda value: str(value)[:50])
def test_is_refused(xml: str, text: str) -> None:
    with pytest.raises(VirtsimError) as raised:
        kept(xml)
    assert str(raised.value) == text


#: Definitions that are kept, and what a start of them says.
UNSTARTABLE = [
    (document(devices="<tpm><backend type='emulator'/></tpm>"), "TPM"),
    (
        document(devices="<interface type='network'><source network='n'/></interface>"),
        "interface type 'network'",
    ),
    (document(devices="<graphics type='vnc' passwd='x'/>"), "VNC passwords"),
    (document(devices="<hostdev mode='subsystem' type='usb'/>"), "hostdev of type 'usb'"),
    (document(devices="<serial type='udp'/>"), "character device of type 'udp'"),
    (document("<clock offset='variable' adjustment='60'/>"), "clock offset='variable'"),
    (document("<iothreads>4000000000</iothreads>"), "iothreads"),
    (
        document("<features><acpi/></features>", os="<os firmware='efi'><type machine='q35'>hvm</type></os>"),
        "<loader",
    ),
]


@pytest.mark.parametrize(("xml", "word"), UNSTARTABLE, ids=lambda value: str(value)[-40:])
def test_what_cannot_be_started_says_so(xml: str, word: str) -> None:
    domain = kept(xml)
    with pytest.raises(ConfigUnsupported) as raised:
        command_line(domain)
    assert word in str(raised.value)


def test_numbers_without_end_are_bounded() -> None:
    for address in ("controller='4294967295'", "controller='300'"):
        disk = f"<disk device='cdrom'><target dev='sda' bus='scsi'/><address type='drive' {address}/></disk>"
        with pytest.raises(ConfigUnsupported, match="more than 256"):
            kept(document(devices=disk))
    with pytest.raises(ConfigUnsupported, match="4096"):
        kept(document(devices="<serial type='pty'/>" * 5000))


def test_four_hundred_disks_and_thirty_interfaces() -> None:
    names = [f"sd{chr(97 + n // 26 - 1) if n >= 26 else ''}{chr(97 + n % 26)}" for n in range(400)]
    disks = "".join(f"<disk><source file='/d'/><target dev='{name}' bus='scsi'/></disk>" for name in names)
    model = "<controller type='scsi' model='virtio-scsi'/>"
    domain = kept(document(devices=model + disks + USER.format("<model type='virtio'/>") * 30, os=Q35))
    assert len([c for c in domain.devices.controllers if c.type == "scsi"]) == 58
    assert len({nic.address for nic in domain.devices.interfaces}) == 30
    assert len(command_line(domain)) > 1000


def test_hubs_are_added_where_ports_are_scarce() -> None:
    devices = kept(document(devices="<input type='mouse' bus='usb'/>" * 4)).devices
    assert [hub.address for hub in devices.hubs] == [UsbAddress(port="1")]
    assert [i.address.port for i in devices.inputs if isinstance(i.address, UsbAddress)] == [
        "2",
        "1.1",
        "1.2",
        "1.3",
    ]


def test_a_full_bus_gets_a_bridge_and_a_full_express_machine_gets_ports() -> None:
    rngs = "<rng model='virtio'><backend model='random'/></rng>" * 34
    pc = kept(document(devices=rngs)).devices
    assert [c.model for c in pc.controllers if c.type == "pci"] == ["pci-root", "pci-bridge"]
    assert {r.address.bus for r in pc.rngs if isinstance(r.address, PciAddress)} == {0, 1}
    express = kept(document(devices=rngs, os=Q35)).devices
    assert len([c for c in express.controllers if c.model == "pcie-root-port"]) == 37
    multi = [
        c.address
        for c in express.controllers
        if isinstance(c.address, PciAddress) and c.address.multifunction
    ]
    assert len(multi) == 5


def test_addresses_survive_a_new_device() -> None:
    before = kept((GOLD / "typical.xml").read_text())
    nic = evolve(before.devices.interfaces[0], mac="52:54:00:00:00:99", address=None)
    devices = evolve(before.devices, interfaces=(*before.devices.interfaces, nic))
    from virtsim.qemu.defaults import complete

    after = complete(
        evolve(before, devices=devices), new_uuid=lambda: None, new_mac=lambda: "", default_emulator=""
    )
    assert after.devices.disks == before.devices.disks
    assert after.devices.interfaces[0] == before.devices.interfaces[0]
    assert after.devices.interfaces[1].address == PciAddress(bus=9)


def test_a_usb_device_on_a_pci_bus_that_is_not_there_is_refused() -> None:
    hub = "<hub type='usb'><address type='pci' bus='0x01' slot='0x00'/></hub>"

    with pytest.raises(ConfigUnsupported, match="PCI bus 1, which this machine does not have"):
        command_line(kept(document(devices=hub)))
