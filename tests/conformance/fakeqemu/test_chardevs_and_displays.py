# ruff: noqa: E501  (a message is a line)
"""Character devices, networks, displays, input and run states: the same words to a real QEMU and to the fake."""

from __future__ import annotations

import json
import re

import pytest

from tests.helpers.processes import Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

BARE = (
    "-S",
    "-accel",
    "tcg",
    "-display",
    "none",
    "-nodefaults",
    "-no-shutdown",
    "-qmp",
    "unix:m,server=on,wait=off",
)


def socket_of(path, **more):
    return {"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": path}}, **more}}


def null(kind="null", **data):
    return {"type": kind, "data": data}


CHARDEV_WORDS = (
    "-machine", "pc", "-chardev", "null,id=n", "-chardev", "pty,id=p", "-chardev", "ringbuf,id=r,size=1024", "-chardev", "file,id=f,path=out",
    "-chardev", "socket,id=s,path=a,server=on,wait=off", "-chardev", "udp,id=u,host=127.0.0.1,port=9", "-chardev", "vc,id=v", "-chardev", "stdio,id=io",
    "-chardev", "msmouse,id=mm", "-chardev", "testdev,id=td", "-chardev", "wctablet,id=wc", "-device", "isa-serial,chardev=p", "-device", "virtio-serial-pci",
    "-chardev", "null,id=port", "-device", "virtserialport,chardev=port,name=x", "-chardev", "null,id=console", "-device", "virtconsole,chardev=console",
    "-serial", "null",
)  # fmt: skip
CHARDEVS = [
    "query-chardev-backends", ("chardev-add", {"id": "sp", "backend": null("spiceport", fqdn="x")}), "query-chardev-backends", "query-chardev", "query-yank", *(("chardev-add", {"id": ident, "backend": backend}) for ident, backend in [
        ("a", null()), ("a", null()), ("a b", null()), ("", null()), ("b", null("pty")), ("c", socket_of("sock2", server=True, wait=False)),
        ("c1", socket_of("nope", server=False)), ("c2", socket_of("/nope/x", server=True)), ("c6", socket_of("nope", server=False, reconnect=1)),
        ("c7", socket_of("nope", server=True, reconnect=1)), ("c8", socket_of("nope", server=False, wait=True)),
        ("c9", socket_of("tel", server=True, wait=False, telnet=True)), ("c10", socket_of("web", server=True, wait=False, websocket=True)),
        ("c11", {"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": "t"}}, "server": True, "wait": False, "tls-creds": "x"}}),
        ("c12", {"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": "t"}}, "server": True, "wait": False, "tls-authz": "x"}}),
        ("c5", {"type": "socket", "data": {"addr": {"type": "fd", "data": {"str": "nofd"}}, "server": False}}),
        ("c4", {"type": "socket", "data": {"addr": {"type": "inet", "data": {"host": "127.0.0.1", "port": "1"}}, "server": False}}),
        ("d", null("file", out="o.log")), ("d1", null("file", out="/nope/o.log")), ("e", null("pipe", device="/nope/p")), ("e1", null("serial", device="/dev/nope")),
        ("g", null("ringbuf", size=1000)), ("g", null("memory", size=1024)), ("g1", null("ringbuf")), ("h1", null("mux", chardev="a")),
        ("h2", null("mux", chardev="nope")), ("j", null("stdio")), ("k", null("vc")), ("k2", null("spiceport", fqdn="x")), ("l", {"type": "nope", "data": {}}),
        ("l", {"type": "null"}), ("lg", null(logfile="/nope/x")),
    ]),
    "query-chardev", "query-yank", *(("chardev-remove", {"id": ident}) for ident in ("a", "nope", "p", "b", "c", "g1", "h1", "n")), "query-chardev",
    *(("chardev-change", {"id": ident, "backend": backend}) for ident, backend in [
        ("p", null()), ("nope", null()), ("f", null()), ("compat_monitor0", null()), ("port", null()), ("console", null()),
        ("p", socket_of("/nope/nope", server=False)), ("f", socket_of("/nope/nope", server=False)),
    ]),
    *(("chardev-send-break", {"id": ident}) for ident in ("p", "nope", "f")),
    *(("ringbuf-write", arguments) for arguments in [
        {"device": "r", "data": "hello"}, {"device": "r", "data": "aGVsbG8=", "format": "base64"}, {"device": "r", "data": "x", "format": "base64"},
        {"device": "r", "data": "xx\n==", "format": "base64"}, {"device": "r", "data": "xx!=", "format": "base64"}, {"device": "nope", "data": "x"},
        {"device": "port", "data": "x"}, {"device": "r", "data": "é€"},
    ]),
    *(("ringbuf-read", arguments) for arguments in [
        {"device": "r", "size": 0}, {"device": "r", "size": 3}, {"device": "r", "size": 8, "format": "base64"}, {"device": "r", "size": 100}, {"device": "nope", "size": 3},
        {"device": "port", "size": 3}, {"device": "r", "size": -1}, {"device": "r", "size": 5},
    ]),
    "query-chardev", ("yank", {"instances": [{"type": "chardev", "id": "s"}]}), ("yank", {"instances": [{"type": "chardev", "id": "zz"}]}),
]  # fmt: skip

NET_WORDS = (
    "-machine", "pc", "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,id=net0,mac=52:54:00:11:22:33", "-device", "e1000,id=e0,mac=52:54:00:11:22:34",
    "-device", "virtio-net-pci,mac=52:54:00:11:22:36", "-device", "rtl8139,id=r0",
)  # fmt: skip
NET = [
    *(("netdev_add", arguments) for arguments in [
        {"type": "user", "id": "u1"}, {"type": "user", "id": "u1"}, {"type": "user"}, {"type": "nope", "id": "x"}, {"id": "x"}, {"type": "user", "id": "a b"},
        {"type": "user", "id": "1a"}, {"type": "user", "id": ""}, {"type": "user", "id": "net0"}, {"type": "tap", "id": "t2", "fd": "x"},
        {"type": "tap", "id": "t2", "fds": "a:b"}, {"type": "hubport", "id": "h0", "hubid": 0}, {"type": "hubport", "id": "h1"}, {"type": "socket", "id": "s0"},
        {"type": "socket", "id": "sa", "listen": ":0", "connect": "x:1"}, {"type": "socket", "id": "sb", "udp": "x:1"}, {"type": "socket", "id": "s2", "listen": "127.0.0.1:0"},
        {"type": "dgram", "id": "d0", "local": {"type": "inet", "host": "127.0.0.1", "port": "0"}}, {"type": "vhost-user", "id": "v0", "chardev": "x"},
        {"type": "vhost-vdpa", "id": "vd", "vhostdev": "/dev/nope"}, {"type": "vde", "id": "vde"}, {"type": "netmap", "id": "nm", "ifname": "x"}, {"type": "none", "id": "none"},
        {"type": "user", "id": "u5", "foo": 1}, *({"type": "user", "id": f"f{place}", "hostfwd": [{"str": rule}]} for place, rule in enumerate((
            "tcp::0-:22", "udp:127.0.0.1:0-10.0.2.15:1", "foo::1-:2", "tcp::x-:2", "tcp::1-:x", "tcp::99", "", ":1-:2", "bad"))),
    ]),
    *(("netdev_del", {"id": ident}) for ident in ("u1", "nope", "net0", "n0", "a b", "h0", "e0", "n0")),
    *(("set_link", {"name": name, "up": False}) for name in ("net0", "n0", "e0", "f0", "nope", "virtio-net-pci.1", "virtio-net-pci.0")),
    "query-rx-filter", *(("query-rx-filter", {"name": name}) for name in ("net0", "e0", "nope", "r0", "n0")),
    ("announce-self", {"initial": 50, "max": 550, "rounds": 5, "step": 50}), "announce-self",
]  # fmt: skip

SCREEN_WORDS = (
    "-machine", "pc", "-device", "VGA,id=video0", "-vnc", "127.0.0.1:{port},password=on", "-usb", "-device", "usb-tablet,id=tab", "-device", "usb-mouse,id=mou",
    "-device", "usb-kbd", "-device", "virtio-vga,id=v1,max_outputs=2", "-device", "virtio-tablet-pci,id=vt",
)  # fmt: skip
SCREEN = [
    "query-vnc", "query-vnc-servers", "query-spice", "query-mice", "query-display-options",
    *(("set_password", {"protocol": "vnc", "password": "x", **more}) for more in ({}, {"connected": "fail"}, {"connected": "keep"}, {"connected": "disconnect"}, {"display": "default"}, {"display": "nope"})),
    ("set_password", {"protocol": "spice", "password": "x"}), ("change-vnc-password", {"password": "y"}), ("expire_password", {"protocol": "vnc", "time": "+30"}),
    ("expire_password", {"protocol": "vnc", "time": "never", "display": "nope"}), ("expire_password", {"protocol": "spice", "time": "now"}), ("display-reload", {"type": "vnc", "tls-certs": True}),
    ("display-reload", {"type": "vnc"}), *(("screendump", arguments) for arguments in [
        {"filename": "x.ppm"}, {"filename": "x.png", "format": "png"}, {"filename": "y", "head": 1}, {"filename": "y", "device": "video0"}, {"filename": "y", "device": "video0", "head": 1},
        {"filename": "y", "device": "tab"}, {"filename": "y", "device": "nope"}, {"filename": "/nope/x"}, {"filename": "y", "format": "jpg"}, {"filename": "y", "device": "v1", "head": 1},
    ]),
    ("input-send-event", {"events": []}), ("input-send-event", {"device": "nope", "events": []}), ("input-send-event", {"device": "tab", "events": []}),
    ("send-key", {"keys": [{"type": "qcode", "data": "a"}]}), ("send-key", {"keys": []}), ("send-key", {"keys": [{"type": "number", "data": 3000}]}),
    ("client_migrate_info", {"protocol": "spice", "hostname": "x", "port": 1}), ("client_migrate_info", {"protocol": "vnc", "hostname": "x"}),
    *(("add_client", {"protocol": protocol, "fdname": "x"}) for protocol in ("vnc", "spice", "nope")),
]  # fmt: skip

PLAIN_WORDS = ("-machine", "pc")
PLAIN = [
    "query-mice", "query-vnc", "query-vnc-servers", ("set_password", {"protocol": "vnc", "password": "x"}), ("change-vnc-password", {"password": "x"}),
    ("expire_password", {"protocol": "vnc", "time": "now"}), ("display-reload", {"type": "vnc", "tls-certs": True}), ("display-update", {"type": "vnc"}),
    ("screendump", {"filename": "x"}), ("screendump", {"filename": "x", "head": 1}), ("screendump", {"filename": "x", "device": "nope"}), "query-current-machine", "system_wakeup",
    "inject-nmi", "rtc-reset-reinjection", "query-acpi-ospm-status", "x-exit-preconfig", ("watchdog-set-action", {"action": "nope"}), ("watchdog-set-action", {"action": "inject-nmi"}),
    "system_powerdown", "cont", "query-status", ("input-send-event", {"events": [{"type": "abs", "data": {"axis": "x", "value": 3}}]}),
    ("input-send-event", {"events": [{"type": "key", "data": {"down": True, "key": {"type": "qcode", "data": "a"}}}]}), "system_wakeup", "stop", "query-status", "system_reset", "query-status",
]  # fmt: skip

NONE_WORDS = ("-machine", "none")
NONE = [
    "query-chardev-backends", ("qom-list-types", {"implements": "x"}), "query-chardev-backends",
    "inject-nmi", "system_wakeup", "query-current-machine", "rtc-reset-reinjection", "query-mice", "query-acpi-ospm-status", "system_powerdown", "query-status", "query-rx-filter",
    ("watchdog-set-action", {"action": "none"}), ("screendump", {"filename": "z"}), "system_reset",
]  # fmt: skip

VNC = (
    "unix:v.sock",
    ":{port},to=99,websocket=on",
    "none",
    "127.0.0.1:{port},sasl=on",
    "127.0.0.1:{port},id=foo,share=ignore",
    "0.0.0.0:{port}",
    "[::1]:{port}",
)


def tidy(line):
    """One line without times, terminals and numbers of ports that the system chose."""
    text = line.decode("ascii")
    text = re.sub(r'"seconds": \d+, "microseconds": \d+', '"now": 0', text)
    # To which address of ours a socket is connected, the fake does not know.
    text = re.sub(r"tcp:[0-9.:]+ <-> ", "tcp:", text)
    return re.sub(r"/dev/pts/\d+", "/dev/pts/N", text)


def played(tmp_path, words, steps):
    heard = {}
    for name, make in (("real", real_argv), ("fake", fake_argv)):
        directory = tmp_path / name
        directory.mkdir()
        with Program(make(*BARE, *words), directory) as program, program.client(directory / "m") as client:
            client.negotiate()
            said = []
            for step in steps:
                command, arguments = step if isinstance(step, tuple) else (step, {})
                client.send(json.dumps({"execute": command, "arguments": arguments, "id": "x"}).encode())
                while line := client.line():
                    said.append((command, json.dumps(arguments), tidy(line)))
                    if b'"id": "x"' in line:
                        break
            heard[name] = said
    return heard


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        pytest.param(CHARDEV_WORDS, CHARDEVS, id="chardevs"),
        pytest.param(NET_WORDS, NET, id="net"),
        pytest.param(SCREEN_WORDS, SCREEN, id="screen"),
        pytest.param(PLAIN_WORDS, PLAIN, id="plain"),
        pytest.param(NONE_WORDS, NONE, id="none"),
        *(
            pytest.param(
                ("-machine", "pc", "-vga", "std", "-vnc", text),
                ["query-vnc", "query-vnc-servers", ("set_password", {"protocol": "vnc", "password": "x"})],
                id=f"vnc {text}",
            )
            for text in VNC
        ),
    ],
)
def test_the_same_is_said(tmp_path, words, steps):
    words = tuple(word.replace("{port}", "91") for word in words)
    heard = played(tmp_path, words, steps)
    for real, fake in zip(heard["real"], heard["fake"], strict=True):
        assert fake == real
