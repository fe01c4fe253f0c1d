#!/bin/sh
# Makes a small Debian for images to begin with, as one tar file:
#
#   examples/shop/base/make-base.sh debian.tar
#   tsstack image import debian.tar registry.example/debian:bookworm
#
# Needs root and debootstrap. The packages come from where this machine's apt takes its own, or from $MIRROR.
set -eu

archive=${1:?"usage: make-base.sh FILE.tar"}
suite=${SUITE:-bookworm}
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" | head -n 1)}

tree=$(mktemp -d)
chmod 755 "$tree" # it becomes the root directory
trap 'rm -rf "$tree" "$archive.new"' EXIT
debootstrap --variant=minbase "$suite" "$tree" "$mirror"

# Packages that are installed later shall not start their servers: an image has no init that would end them.
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
chmod +x "$tree/usr/sbin/policy-rc.d"
# Everything that apt and dpkg can get again, and what is the host's own.
rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/var/log/* "$tree"/dev/* "$tree"/tmp/*
rm -f "$tree/etc/resolv.conf" "$tree/etc/hostname" "$tree/etc/machine-id"

# Under another name until it is whole.
tar --create --file "$archive.new" --directory "$tree" --numeric-owner --sort=name .
mv "$archive.new" "$archive"
