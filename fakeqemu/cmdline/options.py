# ruff: noqa: SIM905  (long lists of words read better as text)
"""QEMU's option names, and the few words that are looked at before the monitor exists.

Facts of ``qemu-system-x86_64`` 7.2 as Debian builds it, asked of the binary option by option. On the start-up
path, so they stand in code and not in the profile.
"""

from __future__ import annotations

__all__ = [
    "ALIASES",
    "CHECKED",
    "FLAGS",
    "KNOWN_CPUS",
    "KNOWN_DEVICES",
    "MACHINES",
    "USUAL",
    "WITH_VALUE",
    "X86_LACKS",
]

#: Options that take an argument.
WITH_VALUE = frozenset(
    (
        "D L M accel acpitable action add-fd append audio audiodev bios blockdev boot cdrom chardev chroot"
        " compat"
        " cpu d debugcon device dfilter display drive dtb dump-vmstate echr fda fdb fsdev fw_cfg g gdb"
        " global hda"
        " hdb hdc hdd icount incoming initrd iscsi k kernel loadvm m machine mem-path mon monitor msg"
        " mtdblock name"
        " net netdev nic numa object option-rom overcommit parallel pflash pidfile plugin qmp qmp-pretty"
        " readconfig"
        " rotate rtc runas sandbox sd seed serial set smbios smp spice tpmdev trace"
        " usbdevice semihosting-config uuid vga virtfs vnc watchdog-action prom-env xen-domid"
    ).split()
)
#: Options that take none.
FLAGS = frozenset(
    (
        "S async-teardown daemonize enable-kvm enable-sync-profile full-screen no-acpi no-fd-bootchk"
        " no-hpet no-reboot no-shutdown no-user-config nodefaults nographic only-migratable portrait"
        " preconfig s"
        " singlestep snapshot usb win2k-hack xen-attach xen-domid-restrict mem-prealloc h help version"
        " audio-help"
        " semihosting"
    ).split()
)
#: Machine types by their short names; the rest is looked up in the profile.
MACHINES = {
    "pc": "pc-i440fx-7.2",
    "q35": "pc-q35-7.2",
    "none": "none",
    "microvm": "microvm",
    "isapc": "isapc",
    "pc-i440fx-7.2": "pc-i440fx-7.2",
    "pc-q35-7.2": "pc-q35-7.2",
}
ALIASES = {"pc-i440fx-7.2": "pc", "pc-q35-7.2": "q35"}
#: CPU models that need no look into the profile.
KNOWN_CPUS = frozenset("qemu64 qemu32 kvm64 kvm32 max host base pentium".split())
#: Device models that need no look into the profile: what managers usually ask for.
KNOWN_DEVICES = frozenset(
    (
        "e1000 e1000e ich9-ahci ich9-intel-hda hda-duplex hda-micro i6300esb ib700 ide-cd ide-hd intel-hda"
        " isa-serial"
        " isa-fdc nec-usb-xhci nvme pci-bridge pcie-pci-bridge pcie-root-port piix3-usb-uhci ich9-usb-ehci1"
        " ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 pvpanic qemu-xhci qxl-vga rtl8139 scsi-cd scsi-hd"
        " tpm-crb"
        " tpm-tis usb-hub usb-kbd usb-mouse usb-redir usb-storage usb-tablet VGA cirrus-vga bochs-display"
        " virtconsole virtio-9p-pci virtio-balloon-pci virtio-blk-pci virtio-gpu-pci virtio-input-host-pci"
        " virtio-keyboard-pci virtio-mouse-pci virtio-net-pci virtio-rng-pci virtio-scsi-pci"
        " virtio-serial-pci"
        " virtio-tablet-pci virtio-vga virtserialport vfio-pci vmgenid vhost-vsock-pci vhost-user-fs-pci"
        " lsi lsi53c895a"
    ).split()
)
#: Options that QEMU knows, but not for x86.
X86_LACKS = frozenset(("prom-env", "semihosting", "semihosting-config"))
#: Options whose values `fakeqemu.cmdline.values` checks.
CHECKED = frozenset(
    (
        "add-fd audiodev boot compat display fw_cfg global icount msg name numa overcommit rtc sandbox seed"
        " set smbios spice tpmdev vga vnc"
    ).split()
)
#: What managers usually give them: right, so that nothing need be loaded to check it.
USUAL = frozenset(
    (
        "none mem-lock=off mem-lock=on timestamp=on base=utc base=localtime base=utc,driftfix=slew strict=on"
        " menu=on,strict=on std kvm-pit.lost_tick_policy=delay ICH9-LPC.disable_s3=1 ICH9-LPC.disable_s4=1"
        " PIIX4_PM.disable_s3=1 PIIX4_PM.disable_s4=1 ICH9-LPC.noreboot=off"
        " on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    ).split()
)
#: Properties of machines, devices, objects and networks that managers usually give: nothing is looked up for
#: these.
USUAL_PROPERTIES = frozenset(
    (
        "accel memory-backend usb=off usb=on dump-guest-core=off dump-guest-core=on graphics=off hpet=off"
        " acpi=off acpi=on smm=off smm=on vmport=off"
        " id bus addr drive netdev mac chardev bootindex port chassis multifunction nr name max_outputs index"
        " size share prealloc policy host-nodes mem-path memdev node fd fds vhost vhostfd vhostfds script"
        " downscript ifname br filename data format file keyid iv slot serial share-rw removable write-cache"
        " iothread num-queues rombar romfile ports p2 p3 audiodev cad hotplug device_id channel scsi-id lun"
        " discard-data merge dump rng free-page-reporting deflate-on-oom disable-legacy disable-modern"
        " hostfwd restrict net host dns socket-id core-id thread-id die-id"
    ).split()
)
#: Objects and networks that want something: looked at whatever they are given.
NEEDY = frozenset(("memory-backend-file", "secret"))
#: Options that list what they take when they are given ``help``.
HELPFUL = frozenset("machine M cpu device object netdev chardev accel vga".split())
