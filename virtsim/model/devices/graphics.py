"""Where the guest's screen can be seen: ``<graphics>`` with VNC, SPICE and what needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import INT, TEXT, YESNO, choice
from virtsim.model._fields import Wording, at, each

__all__ = ["Graphics", "GraphicsListen"]


@dataclass(frozen=True, slots=True)
class GraphicsListen:
    """One place to listen at."""

    type: str = at("@type", choice("none", "address", "network", "socket"), "address", required=True)
    address: str | None = at("@address")
    network: str | None = at("@network")
    socket: str | None = at("@socket")
    from_config: int | None = at("@fromConfig", INT)


@dataclass(frozen=True, slots=True)
class Graphics:
    """``<graphics>``; a port of -1 means that a start chooses one."""

    type: str = at(
        "@type", choice("sdl", "vnc", "rdp", "desktop", "spice", "egl-headless", "dbus"), "vnc", required=True
    )
    port: int | None = at(
        "@port", INT, words=Wording("cannot parse vnc port {}", code=ErrorCode.VIR_ERR_INTERNAL_ERROR)
    )
    tls_port: int | None = at("@tlsPort", INT)
    autoport: bool | None = at("@autoport", YESNO)
    websocket: int | None = at("@websocket", INT)
    listen: str | None = at("@listen")
    socket: str | None = at("@socket")
    keymap: str | None = at("@keymap")
    default_mode: str | None = at("@defaultMode", choice("any", "secure", "insecure"))
    share_policy: str | None = at("@sharePolicy", choice("allow-exclusive", "force-shared", "ignore"))
    display: str | None = at("@display")
    passwd: str | None = at("@passwd", TEXT)
    listens: tuple[GraphicsListen, ...] = each("listen", GraphicsListen)
    image_compression: str | None = at(
        "image/@compression", choice("auto_glz", "auto_lz", "quic", "glz", "lz", "off")
    )
    streaming: str | None = at("streaming/@mode", choice("filter", "all", "off"))
    clipboard: bool | None = at("clipboard/@copypaste", YESNO)
    mouse: str | None = at("mouse/@mode", choice("server", "client"))
    filetransfer: bool | None = at("filetransfer/@enable", YESNO)
    gl: bool | None = at("gl/@enable", YESNO)
    gl_rendernode: str | None = at("gl/@rendernode")
    audio_id: int | None = at("audio/@id", INT)
