# ruff: noqa: E501  (a command is a line)
"""What a manager does with libvirt: the flows that are played to the real QEMU and to fakeqemu.

Each flow is a list of virsh commands. ``{base}`` is the daemon's directory, ``{emulator}`` the program. A word
that begins with ``!`` is for the harness: ``!restart`` ends and starts the daemon, ``!wait SECONDS``,
``!until STATE`` waits for a domain state, ``!image NAME SIZE [FORMAT]`` makes an image, ``!agent DOMAIN`` waits for the guest agent.
"""

from __future__ import annotations

from dataclasses import dataclass

MINIMAL = """
<domain type='qemu'>
  <name>mini</name>
  <uuid>5f3c1b1e-58a4-4cb5-a1bb-0c6f4f0d0001</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices><emulator>{emulator}</emulator><controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>
"""

TYPICAL = """
<domain type='qemu'>
  <name>typ</name>
  <uuid>5f3c1b1e-58a4-4cb5-a1bb-0c6f4f0d0002</uuid>
  <memory unit='MiB'>256</memory>
  <vcpu current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <features><acpi/></features>
  <pm><suspend-to-mem enabled='yes'/></pm>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='{base}/images/typ.qcow2'/><target dev='vda' bus='virtio'/><boot order='1'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='user'><mac address='52:54:00:aa:bb:01'/><model type='virtio'/></interface>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'/>
    <controller type='pci' index='2' model='pcie-root-port'/>
    <controller type='pci' index='3' model='pcie-root-port'/>
    <controller type='pci' index='4' model='pcie-root-port'/>
    <controller type='pci' index='5' model='pcie-root-port'/>
    <controller type='pci' index='6' model='pcie-root-port'/>
    <controller type='pci' index='7' model='pcie-root-port'/>
    <controller type='pci' index='8' model='pcie-root-port'/>
    <controller type='pci' index='9' model='pcie-root-port'/>
    <controller type='pci' index='10' model='pcie-root-port'/>
    <serial type='pty'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <input type='tablet' bus='usb'/>
    <graphics type='vnc' port='-1' autoport='yes'/>
    <video><model type='virtio'/></video>
    <memballoon model='virtio'><stats period='5'/></memballoon>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""

#: Hot-plug on i440fx, where the guest answers through ACPI; memory slots; a watchdog; more controllers.
WIDE = """
<domain type='qemu'>
  <name>wide</name>
  <uuid>5f3c1b1e-58a4-4cb5-a1bb-0c6f4f0d0003</uuid>
  <maxMemory slots='4' unit='MiB'>1024</maxMemory>
  <memory unit='MiB'>256</memory>
  <vcpu current='1'>4</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact'><model>qemu64</model><numa><cell id='0' cpus='0-3' memory='256' unit='MiB'/></numa></cpu>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' iothread='1'/>
      <source file='{base}/images/wide.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{base}/images/wide.raw'/><target dev='sda' bus='scsi'/></disk>
    <controller type='scsi' model='virtio-scsi'/>
    <interface type='user'><mac address='52:54:00:aa:bb:11'/><model type='e1000'/></interface>
    <serial type='file'><source path='{base}/images/wide.log'/></serial>
    <console type='pty'><target type='virtio'/></console>
    <graphics type='vnc' socket='{base}/run/wide.vnc'/>
    <watchdog model='i6300esb' action='pause'/>
    <panic model='isa'/>
  </devices>
</domain>
"""

#: One qcow2 disk and nothing else that holds state: internal snapshots want that.
SINGLE = """
<domain type='qemu'>
  <name>snap</name>
  <uuid>5f3c1b1e-58a4-4cb5-a1bb-0c6f4f0d0004</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{base}/images/snap.qcow2'/><target dev='hda' bus='ide'/></disk>
    <memballoon model='none'/>
  </devices>
</domain>
"""

DOMAINS = {"mini": MINIMAL, "typ": TYPICAL, "wide": WIDE, "snap": SINGLE}

FILES = {
    "disk.xml": """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{base}/images/hot.qcow2'/><target dev='vdb' bus='virtio'/></disk>""",
    "scsi.xml": """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{base}/images/hot.qcow2'/><target dev='sdb' bus='scsi'/></disk>""",
    "net.xml": """<interface type='user'><mac address='52:54:00:aa:bb:02'/><model type='virtio'/></interface>""",
    "dimm.xml": """<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>""",
    "vnc.xml": """<graphics type='vnc' port='-1' autoport='yes' passwd='secret'/>""",
    "rng.xml": """<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>""",
    "usb.xml": """<input type='mouse' bus='usb'/>""",
    "backup.xml": """<domainbackup><disks><disk name='vda' type='file'><driver type='qcow2'/>
      <target file='{base}/images/backup.qcow2'/></disk><disk name='sda' backup='no'/></disks></domainbackup>""",
    "cdrom.xml": """<disk type='file' device='cdrom'><source file='{base}/images/cd.raw'/>
      <target dev='sda' bus='sata'/><readonly/></disk>""",
    "link.xml": """<interface type='user'><mac address='52:54:00:aa:bb:01'/><model type='virtio'/>
      <link state='down'/></interface>""",
    "named.xml": """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{base}/images/hot.qcow2'/><target dev='vdb' bus='virtio'/><alias name='ua-hot'/></disk>""",
    "checkpoint.xml": """<domaincheckpoint><name>c1</name><disks><disk name='vda' checkpoint='bitmap'/>
      <disk name='sda' checkpoint='no'/></disks></domaincheckpoint>""",
    "pull.xml": """<domainbackup mode='pull'><server transport='unix' socket='{base}/run/nbd'/><disks>
      <disk name='vda' type='file'><scratch file='{base}/images/scratch.qcow2'/></disk>
      <disk name='sda' backup='no'/></disks></domainbackup>""",
    "second.xml": """<domainbackup><incremental>c1</incremental><disks><disk name='vda' type='file'>
      <driver type='qcow2'/><target file='{base}/images/second.qcow2'/></disk>
      <disk name='sda' backup='no'/></disks></domainbackup>""",
}


@dataclass(frozen=True)
class Flow:
    """One story: its domain, and what is done. ``guest``: needs an operating system inside (fake only)."""

    name: str
    domain: str
    steps: tuple[str, ...]
    guest: bool = False


def _flow(name: str, domain: str, steps: str, *, guest: bool = False) -> Flow:
    words = [line.strip() for line in steps.strip().splitlines()]
    return Flow(name, domain, tuple(word for word in words if word), guest=guest)


FLOWS = (
    _flow("minimal life", "mini", """
        start mini
        domstate mini --reason
        suspend mini
        domstate mini --reason
        resume mini
        domcontrol mini
        dominfo mini
        reset mini
        suspend mini
        suspend mini
        destroy mini
        destroy mini
        start mini --paused
        domstate mini --reason
        resume mini
        destroy mini --graceful
        """),
    _flow("statistics", "typ", """
        start typ
        dommemstat typ
        domstats typ --state --balloon --vcpu --interface --block --iothread
        domblkinfo typ vda
        domblkstat typ vda
        domblkerror typ
        domblklist typ --details
        domiflist typ
        domif-getlink typ 52:54:00:aa:bb:01
        vcpucount typ
        vcpuinfo typ
        vcpupin typ
        emulatorpin typ
        domdisplay typ
        ttyconsole typ
        qemu-monitor-command typ {"execute":"query-status"}
        qemu-monitor-command typ --hmp info status
        qemu-monitor-command typ {"execute":"query-nonsense"}
        destroy typ
        """),
    _flow("cpus and memory", "typ", """
        start typ
        setvcpus typ 3 --live
        vcpucount typ
        setvcpu typ 3 --enable --live
        setmem typ 204800 --live
        dommemstat typ --period 2 --live
        destroy typ
        """),
    _flow("devices", "typ", """
        !image hot.qcow2 16M
        start typ
        attach-device typ {base}/disk.xml --live
        domblklist typ --details
        attach-device typ {base}/net.xml --live
        domif-setlink typ 52:54:00:aa:bb:02 down
        domif-setlink typ 52:54:00:aa:bb:02 up
        attach-device typ {base}/usb.xml --live
        blkdeviotune typ vda --total-iops-sec 1000 --live
        blkdeviotune typ vda
        blockresize typ vda 120M
        iothreadadd typ 1 --live
        iothreadinfo typ
        iothreaddel typ 1 --live
        attach-device typ {base}/disk.xml --live
        destroy typ
        """),
    _flow("nobody answers", "typ", """
        !image hot.qcow2 16M
        start typ
        setvcpus typ 3 --live
        setvcpus typ 2 --live
        attach-device typ {base}/disk.xml --live
        detach-device typ {base}/disk.xml --live
        domblklist typ
        attach-device typ {base}/net.xml --live
        detach-device typ {base}/net.xml --live
        domiflist typ
        blockcopy typ vda {base}/images/copy.qcow2 --wait --pivot --format qcow2
        update-device typ {base}/vnc.xml --live
        qemu-agent-command typ {"execute":"guest-ping"} --timeout 1
        reset typ
        domblklist typ
        destroy typ
        undefine typ
        """),
    _flow("external snapshots", "typ", """
        start typ
        snapshot-create-as typ s1 --disk-only --atomic --no-metadata --diskspec vda,file={base}/images/typ.s1.qcow2 --diskspec sda,snapshot=no
        domblklist typ
        blockjob typ vda --info
        blockcommit typ vda --active --pivot --verbose
        domblklist typ
        snapshot-create-as typ s2 --disk-only --atomic --no-metadata --diskspec vda,file={base}/images/typ.s2.qcow2 --diskspec sda,snapshot=no
        snapshot-create-as typ s3 --disk-only --atomic --no-metadata --diskspec vda,file={base}/images/typ.s3.qcow2 --diskspec sda,snapshot=no
        blockcommit typ vda --top {base}/images/typ.s2.qcow2 --base {base}/images/typ.qcow2 --wait --verbose
        blockpull typ vda --wait
        domblklist typ
        destroy typ
        """),
    _flow("block copies", "typ", """
        start typ
        blockcopy typ vda {base}/images/copy.qcow2 --transient-job --format qcow2 --wait --pivot
        domblklist typ
        blockcopy typ vda {base}/images/copy2.qcow2 --transient-job --format qcow2 --wait --finish
        blockcopy typ vda {base}/images/copy3.qcow2 --transient-job --format qcow2
        blockjob typ vda 2
        blockjob typ vda --abort
        blockjob typ vda --info
        destroy typ
        """),
    _flow("media and backup", "typ", """
        !image cd.raw 4M raw
        start typ
        change-media typ sda {base}/images/cd.raw --insert --live
        domblklist typ
        change-media typ sda --eject --live
        backup-begin typ {base}/backup.xml
        !wait 1
        domjobinfo typ
        domblkthreshold typ vda 1048576
        destroy typ
        """),
    _flow("buttons", "typ", """
        start typ
        screenshot typ {base}/images/shot.png
        send-key typ KEY_LEFTCTRL KEY_C
        inject-nmi typ
        set-lifecycle-action typ poweroff restart --live
        domdirtyrate-calc typ --seconds 1
        reset typ
        reboot typ --mode acpi
        domstate typ --reason
        shutdown typ --mode acpi
        domstate typ --reason
        dompmsuspend typ mem
        qemu-agent-command typ {"execute":"guest-ping"} --timeout 2
        destroy typ
        """),
    _flow("saves", "typ", """
        start typ
        managedsave typ
        domstate typ --reason
        start typ
        save typ {base}/images/typ.save
        restore {base}/images/typ.save
        domstate typ --reason
        save typ {base}/images/typ.save --paused
        restore {base}/images/typ.save
        domstate typ --reason
        resume typ
        snapshot-create-as typ m1 --memspec {base}/images/typ.mem --diskspec vda,file={base}/images/typ.m1.qcow2 --diskspec sda,snapshot=no --no-metadata
        domstate typ --reason
        dump typ {base}/images/typ.core --memory-only
        domstate typ --reason
        destroy typ
        """),
    _flow("internal snapshots", "snap", """
        start snap
        snapshot-create-as snap i1
        snapshot-create-as snap i2
        snapshot-list snap --name
        snapshot-revert snap i1
        domstate snap --reason
        snapshot-delete snap i2
        snapshot-delete snap i1
        destroy snap
        """),
    _flow("daemon restart", "typ", """
        start typ
        !restart
        domstate typ --reason
        suspend typ
        !restart
        domstate typ --reason
        resume typ
        dominfo typ
        destroy typ
        """),
    _flow("more hardware", "wide", """
        !image hot.qcow2 16M
        start wide
        setvcpus wide 3 --live
        vcpucount wide
        attach-device wide {base}/dimm.xml --live
        dommemstat wide
        attach-device wide {base}/scsi.xml --live
        attach-device wide {base}/rng.xml --live
        domblklist wide --details
        iothreadinfo wide
        domstats wide --state --balloon --vcpu --interface --block --iothread
        attach-device wide {base}/net.xml --live
        screenshot wide {base}/images/wide.png
        destroy wide
        """),
    _flow("checkpoints and pulled backups", "typ", """
        start typ
        checkpoint-create typ {base}/checkpoint.xml
        checkpoint-list typ --name
        checkpoint-dumpxml typ c1 --size --no-domain
        checkpoint-create-as typ c2 --diskspec vda,checkpoint=bitmap --diskspec sda,checkpoint=no
        backup-begin typ {base}/pull.xml
        domjobinfo typ
        backup-dumpxml typ
        domjobabort typ
        !wait 0.5
        backup-begin typ {base}/second.xml
        !wait 0.5
        domjobinfo typ --completed
        checkpoint-delete typ c1
        checkpoint-delete typ c2
        destroy typ
        """),
    _flow("chains", "typ", """
        start typ
        snapshot-create-as typ s1 --disk-only --no-metadata --diskspec vda,file={base}/images/typ.s1.qcow2 --diskspec sda,snapshot=no
        snapshot-create-as typ s2 --disk-only --no-metadata --diskspec vda,file={base}/images/typ.s2.qcow2 --diskspec sda,snapshot=no
        snapshot-create-as typ s3 --disk-only --no-metadata --diskspec vda,file={base}/images/typ.s3.qcow2 --diskspec sda,snapshot=no
        blockpull typ vda --base vda[2] --wait
        blockcommit typ vda --top vda[1] --base vda[2] --bandwidth 10 --wait
        blockcommit typ vda --active --keep-overlay --wait
        blockcommit typ vda --active --bandwidth 1 --wait --pivot
        blockpull typ vda nowhere --base nowhere.qcow2
        blockcommit typ vda --shallow
        destroy typ
        """),
    _flow("devices by name", "typ", """
        !image hot.qcow2 16M
        !image cd.raw 4M raw
        start typ
        attach-disk typ {base}/images/hot.qcow2 vdb --subdriver qcow2 --live
        attach-disk typ {base}/images/hot.qcow2 vdc --subdriver qcow2 --live
        attach-interface typ user none --model virtio --mac 52:54:00:aa:bb:03 --live
        attach-device typ {base}/named.xml --live
        update-device typ {base}/cdrom.xml --live
        domblklist typ
        update-device typ {base}/link.xml --live
        domif-getlink typ 52:54:00:aa:bb:01
        detach-device-alias typ nowhere --live
        change-media typ sda --eject --live
        change-media typ sda --eject --live
        iothreadadd typ 2 --live
        iothreadset typ 2 --poll-max-ns 1000 --poll-grow 2 --poll-shrink 3 --live
        domstats typ --iothread
        iothreaddel typ 2 --live
        iothreaddel typ 2 --live
        blkdeviotune typ vda --group-name g1 --total-bytes-sec 1000000 --total-bytes-sec-max 2000000 --total-bytes-sec-max-length 3 --live
        blkdeviotune typ vda
        blkdeviotune typ vda --total-bytes-sec 0 --live
        destroy typ
        """),
    _flow("saved images", "typ", """
        start typ
        managedsave typ --paused
        managedsave-dumpxml typ
        managedsave-remove typ
        start typ
        save typ {base}/images/typ.save --bypass-cache
        save-image-dumpxml {base}/images/typ.save
        save-image-define {base}/images/typ.save {base}/typ.xml --paused
        restore {base}/images/typ.save
        domstate typ --reason
        dump typ {base}/images/a.core --memory-only --format kdump-zlib --live
        dump typ {base}/images/b.core --memory-only --format kdump-lzo
        dump typ {base}/images/c.core --memory-only --format kdump-snappy
        dump typ {base}/images/d.core --memory-only --format win-dmp
        dump typ {base}/images/e.core
        domstate typ --reason
        destroy typ
        domrename typ other
        domrename other typ
        """),
    _flow("a tree of snapshots", "snap", """
        start snap
        snapshot-create-as snap i1
        snapshot-create-as snap i2
        snapshot-create-as snap e1 --disk-only --diskspec hda,file={base}/images/snap.e1.qcow2
        snapshot-list snap --tree
        snapshot-info snap e1
        snapshot-current snap --name
        snapshot-revert snap e1
        snapshot-revert snap i1 --paused
        snapshot-revert snap i1 --force --running
        domstate snap --reason
        snapshot-delete snap e1 --metadata
        snapshot-delete snap i1 --children-only
        snapshot-list snap --name
        destroy snap
        snapshot-revert snap i1 --running
        domstate snap --reason
        destroy snap
        """),
    _flow("all statistics", "typ", """
        start typ
        domstats typ
        domstats typ --state --cpu-total --balloon --vcpu --interface --block --backing --perf --iothread --memory --dirtyrate --enforce
        domblkinfo typ --all
        domblkthreshold typ vda 4096
        dompmsuspend typ disk
        domfsinfo typ
        guestinfo typ
        setvcpus typ 2 --guest
        reboot typ --mode agent
        shutdown typ --mode agent
        reboot typ --mode initctl
        migrate typ qemu+unix:///session?socket={base}/run/none --live
        domjobabort typ
        migrate-setspeed typ 100
        migrate-getspeed typ
        migrate-setmaxdowntime typ 100
        migrate-compcache typ --size 1048576
        domxml-to-native qemu-argv --domain mini
        set-user-password typ root secret
        send-process-signal typ 1 KILL
        metadata typ urn:nothing
        desc typ --live --title hello
        perf typ
        qemu-monitor-command typ --hmp info block
        qemu-monitor-command typ --hmp info nonsense
        domsetlaunchsecstate typ --secret x
        destroy typ
        """),
    _flow("a guest that answers", "typ", """
        !image hot.qcow2 16M
        start typ
        !agent typ
        qemu-agent-command typ {"execute":"guest-ping"}
        guestinfo typ --os --hostname --user
        domifaddr typ --source agent
        domhostname typ --source agent
        domtime typ
        domfsinfo typ
        domfsfreeze typ
        domfsthaw typ
        guestvcpus typ
        setvcpus typ 3 --live
        setvcpus typ 2 --live
        vcpucount typ
        setmem typ 204800 --live
        attach-device typ {base}/disk.xml --live
        detach-device typ {base}/disk.xml --live
        attach-device typ {base}/net.xml --live
        detach-device typ {base}/net.xml --live
        domblklist typ
        dompmsuspend typ mem
        !until typ pmsuspended
        dompmwakeup typ
        !until typ running
        reboot typ --mode agent
        !agent typ
        reboot typ --mode acpi
        !until typ running
        !agent typ
        snapshot-create-as typ q1 --disk-only --quiesce --no-metadata --diskspec vda,file={base}/images/typ.q1.qcow2 --diskspec sda,snapshot=no
        managedsave typ
        start typ
        domstate typ --reason
        shutdown typ --mode acpi
        !until typ shut off
        start typ
        !agent typ
        shutdown typ --mode agent
        !until typ shut off
        """, guest=True),
    _flow("a guest that is cared for", "typ", """
        !image cd.raw 4M raw
        start typ
        !agent typ
        guestinfo typ
        domfsinfo typ
        domfstrim typ
        domtime typ --sync
        domtime typ --now
        set-user-password typ root secret
        domifaddr typ --source agent --full
        guestvcpus typ 1 --disable
        guestvcpus typ
        guestvcpus typ 1 --enable
        setvcpus typ 1 --guest
        setvcpus typ 2 --guest
        qemu-agent-command typ {"execute":"guest-info"}
        qemu-agent-command typ {"execute":"guest-get-osinfo"}
        domstats typ
        dommemstat typ
        snapshot-create-as typ q1 --disk-only --quiesce --no-metadata --diskspec vda,file={base}/images/typ.q1.qcow2 --diskspec sda,snapshot=no
        blockcommit typ vda --active --pivot --wait
        blockcopy typ vda {base}/images/copy.qcow2 --transient-job --format qcow2 --wait --pivot
        backup-begin typ {base}/backup.xml
        !wait 0.5
        domjobinfo typ --completed
        update-device typ {base}/cdrom.xml --live
        dompmsuspend typ mem
        !until typ pmsuspended
        dompmwakeup typ
        !until typ running
        dump typ {base}/images/f.core --memory-only --reset
        !agent typ
        reset typ
        !agent typ
        save typ {base}/images/typ.save
        restore {base}/images/typ.save
        !agent typ
        dompmsuspend typ disk
        !until typ shut off
        """, guest=True),
    _flow("hardware that comes and goes", "wide", """
        !image hot.qcow2 16M
        start wide
        !wait 0.5
        setvcpus wide 4 --live
        setvcpus wide 2 --live
        setvcpu wide 1 --disable --live
        vcpucount wide
        attach-device wide {base}/dimm.xml --live
        detach-device wide {base}/dimm.xml --live
        attach-device wide {base}/scsi.xml --live
        detach-device wide {base}/scsi.xml --live
        attach-device wide {base}/rng.xml --live
        detach-device wide {base}/rng.xml --live
        attach-device wide {base}/net.xml --live
        detach-device wide {base}/net.xml --live
        attach-device wide {base}/named.xml --live
        detach-device-alias wide ua-hot --live
        !wait 0.3
        attach-disk wide {base}/images/hot.qcow2 vdc --subdriver qcow2 --live
        detach-disk wide vdc --live
        domblklist wide --details
        destroy wide
        """, guest=True),
)  # fmt: skip
