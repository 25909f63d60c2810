#!/bin/sh
# Install the outside programs that the tests use, where this user may; otherwise say so in one line.
# Nothing is installed where everything is there already.
set -eu

missing=""
command -v qemu-system-x86_64 >/dev/null 2>&1 || missing="$missing qemu-system-x86"
command -v qemu-img >/dev/null 2>&1 || missing="$missing qemu-utils"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
command -v qemu-system-aarch64 >/dev/null 2>&1 || missing="$missing qemu-system-arm"
command -v qemu-system-ppc64 >/dev/null 2>&1 || missing="$missing qemu-system-ppc"
command -v qemu-system-s390x >/dev/null 2>&1 || missing="$missing qemu-system-misc"
command -v libvirtd >/dev/null 2>&1 || [ -x /usr/sbin/libvirtd ] || missing="$missing libvirt-daemon"
command -v virsh >/dev/null 2>&1 || missing="$missing libvirt-clients"
[ -e /usr/share/libvirt/api/libvirt-api.xml ] || missing="$missing libvirt-dev"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "tests that need$missing are skipped: install them with this system's package manager"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "tests that need$missing are skipped: run 'apt install$missing' as root to have them"
    exit 0
fi
echo "installing$missing ..."
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! { $sudo apt-get -qq update && $sudo apt-get -qq install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log"
    echo "could not install$missing: the tests that need them are skipped (in CI they fail)"
fi
rm -f "$log"
