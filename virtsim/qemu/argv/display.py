"""Inputs, sound, graphics, video: what a user at a screen sees and touches."""

from __future__ import annotations

from virtsim.errors import ConfigUnsupported
from virtsim.model.devices import Graphics
from virtsim.qemu.argv._options import Build, comma, device, on_off, place

__all__ = ["audios", "graphics", "inputs", "no_display", "sounds", "videos"]

#: First TCP port of VNC display 0.
VNC_BASE_PORT = 5900

_INPUTS = {
    ("usb", "mouse"): "usb-mouse",
    ("usb", "tablet"): "usb-tablet",
    ("usb", "keyboard"): "usb-kbd",
    ("virtio", "mouse"): "virtio-mouse-pci",
    ("virtio", "tablet"): "virtio-tablet-pci",
    ("virtio", "keyboard"): "virtio-keyboard-pci",
}
_VIDEOS = {
    "vga": "VGA",
    "cirrus": "cirrus-vga",
    "vmvga": "vmware-svga",
    "qxl": "qxl-vga",
    "virtio": "virtio-vga",
    "bochs": "bochs-display",
    "ramfb": "ramfb",
}
_SOUNDS = {
    "es1370": "ES1370",
    "ac97": "AC97",
    "sb16": "sb16",
    "ich6": "intel-hda",
    "ich9": "ich9-intel-hda",
    "usb": "usb-audio",
    "pcspk": "isa-pcspk",
}


def no_display(build: Build) -> list[str]:
    """``-display none`` for a machine that nobody looks at."""
    return [] if build.domain.devices.graphics else ["-display", "none"]


def inputs(build: Build) -> list[str]:
    """Keyboards, mice and tablets; those of PS/2 are on the board."""
    argv: list[str] = []
    for found in build.domain.devices.inputs:
        if found.bus == "ps2":
            continue
        if found.type == "evdev":
            argv += device("-object", qom_type="input-linux", id=found.alias, evdev=found.source_dev)
            continue
        if found.type == "passthrough" and found.bus == "virtio":
            at = place(build, found.address)
            argv += device(
                "-device", driver="virtio-input-host-pci", id=found.alias, evdev=found.source_evdev, **at
            )
            continue
        driver = _INPUTS.get((found.bus or "", found.type))
        if driver is None:
            raise ConfigUnsupported(f"input of type '{found.type}' on bus '{found.bus}' is not supported")
        argv += device("-device", driver=driver, id=found.alias, **place(build, found.address))
    return argv


def audios(build: Build) -> list[str]:
    """``-audiodev``."""
    argv: list[str] = []
    for audio in build.domain.devices.audios:
        driver = {"pulseaudio": "pa", "file": "wav"}.get(audio.type, audio.type)
        argv += device("-audiodev", id=f"audio{audio.id}", driver=driver)
    return argv


def _audio_id(build: Build, wanted: int | None) -> str | None:
    audios = build.domain.devices.audios
    if wanted is not None:
        return f"audio{wanted}"
    return f"audio{audios[0].id}" if audios else None


def graphics(build: Build) -> list[str]:
    """``-vnc`` and ``-spice``."""
    argv: list[str] = []
    for found in build.domain.devices.graphics:
        if found.type == "vnc":
            argv += _vnc(build, found)
        elif found.type == "spice":
            argv += _spice(found)
        elif found.type == "egl-headless":
            argv += [
                "-display",
                "egl-headless" + (f",rendernode={found.gl_rendernode}" if found.gl_rendernode else ""),
            ]
        else:
            raise ConfigUnsupported(f"graphics type '{found.type}' is not supported")
    return argv


def _vnc(build: Build, found: Graphics) -> list[str]:
    if found.passwd is not None:
        raise ConfigUnsupported("VNC passwords are not supported")
    listen = found.listens[0] if found.listens else None
    if listen is not None and listen.type == "socket":
        text = f"unix:{comma(listen.socket or '')}"
    elif listen is not None and listen.type == "none":
        text = "none"
    else:
        address = (listen.address if listen is not None else None) or found.listen or "127.0.0.1"
        address = f"[{address}]" if ":" in address else address
        text = f"{address}:{(found.port if found.port is not None else VNC_BASE_PORT) - VNC_BASE_PORT}"
        if found.websocket is not None:
            text += f",websocket={found.websocket}"
    if found.share_policy is not None:
        text += f",share={found.share_policy}"
    audio = _audio_id(build, found.audio_id)
    argv = ["-vnc", text + (f",audiodev={audio}" if audio else "")]
    return [*argv, "-k", found.keymap] if found.keymap else argv


def _spice(found: Graphics) -> list[str]:
    listen = found.listens[0] if found.listens else None
    if listen is not None and listen.type == "socket":
        parts = ["unix=on", f"addr={comma(listen.socket or '')}"]
    elif listen is not None and listen.type == "none":
        parts = ["port=0"]
    else:
        address = (listen.address if listen is not None else None) or found.listen or "127.0.0.1"
        parts = [f"port={found.port if found.port is not None else VNC_BASE_PORT}", f"addr={address}"]
    parts.append("disable-ticketing=on")
    if found.default_mode in ("secure", "insecure"):
        raise ConfigUnsupported("spice secure channels are not supported")
    parts += [f"image-compression={found.image_compression}"] if found.image_compression else []
    parts += [f"streaming-video={found.streaming}"] if found.streaming else []
    if found.clipboard is False:
        parts.append("disable-copy-paste=on")
    if found.filetransfer is False:
        parts.append("disable-agent-file-xfer=on")
    if found.gl is not None:
        parts += [f"gl={on_off(found.gl)}"] + (
            [f"rendernode={found.gl_rendernode}"] if found.gl_rendernode else []
        )
    parts.append("seamless-migration=on")
    return ["-spice", ",".join(parts)]


def videos(build: Build) -> list[str]:
    """Graphics cards; the first one is the console's."""
    argv: list[str] = []
    for number, video in enumerate(build.domain.devices.videos):
        model = video.model or "cirrus"
        if model == "none":
            continue
        if model not in _VIDEOS:
            raise ConfigUnsupported(f"video type '{model}' is not supported")
        driver = _VIDEOS[model]
        if number:
            driver = {"qxl-vga": "qxl", "virtio-vga": "virtio-gpu-pci", "VGA": "secondary-vga"}.get(
                driver, driver
            )
        if model == "virtio" and video.accel3d:
            driver = "virtio-vga-gl" if not number else "virtio-gpu-gl-pci"
        size = {"xres": video.resolution_x, "yres": video.resolution_y}
        if model == "qxl":
            memory = {
                "ram__size": (video.ram_kib or 0) * 1024,
                "vram__size": (video.vram_kib or 0) * 1024,
                "vram64__size__mb": (video.vram64_kib or 0) // 1024,
                "vgamem__mb": (video.vgamem_kib or 0) // 1024,
            }
            argv += device(
                "-device",
                driver=driver,
                id=video.alias,
                max__outputs=video.heads,
                **memory,
                **size,
                **place(build, video.address),
            )
            continue
        heads = video.heads if model == "virtio" else None
        vga = video.vram_kib // 1024 if model in ("vga", "vmvga") and video.vram_kib else None
        bochs = video.vram_kib * 1024 if model == "bochs" and video.vram_kib else None
        argv += device(
            "-device",
            driver=driver,
            id=video.alias,
            max__outputs=heads,
            vgamem__mb=vga,
            vgamem=bochs,
            **size,
            **place(build, video.address),
        )
    return argv


def sounds(build: Build) -> list[str]:
    """Sound cards with their codecs."""
    argv: list[str] = []
    for sound in build.domain.devices.sounds:
        if sound.model == "pcspk":
            raise ConfigUnsupported("sound model 'pcspk' is not supported")
        audio = _audio_id(build, sound.audio_id)
        driver = _SOUNDS.get(sound.model)
        if driver is None:
            raise ConfigUnsupported(f"sound card model '{sound.model}' is not supported")
        if sound.model in ("ich6", "ich9"):
            codec = {None: "hda-duplex", "duplex": "hda-duplex", "micro": "hda-micro", "output": "hda-output"}
            argv += device("-device", driver=driver, id=sound.alias, **place(build, sound.address))
            argv += device(
                "-device",
                driver=codec[sound.codec],
                id=f"{sound.alias}-codec0",
                bus=f"{sound.alias}.0",
                cad=0,
                audiodev=audio,
            )
        else:
            argv += device(
                "-device", driver=driver, id=sound.alias, audiodev=audio, **place(build, sound.address)
            )
    return argv
