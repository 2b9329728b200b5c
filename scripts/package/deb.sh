#!/bin/sh
# deb.sh -- what `make deb` does: build/latchkey_VERSION_ARCH.deb out of what
# `make install` puts where.  Needs dpkg-dev; no rights.
set -eu
cd "$(dirname "$0")/../.."
here=scripts/package
stage=build/deb/root

command -v dpkg-shlibdeps >/dev/null || {
    echo "deb: dpkg-dev is not installed" >&2
    exit 1
}
rm -rf build/deb
mkdir -p $stage/DEBIAN build/deb/debian
env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
    make -s install DESTDIR="$PWD/$stage" PREFIX=/usr SYSCONFDIR=/etc
strip --strip-unneeded $stage/usr/bin/latchkey
install -D -m 0644 $here/latchkey.logrotate $stage/etc/logrotate.d/latchkey
for unit in latchkey.service latchkey.socket; do
    install -D -m 0644 scripts/$unit $stage/lib/systemd/system/$unit
done

version=$(build/latchkey -v 2>&1 | sed 's/.*\///')
arch=$(dpkg --print-architecture)
touch build/deb/debian/control
libraries=$(cd build/deb &&
    dpkg-shlibdeps -O root/usr/bin/latchkey 2>/dev/null |
    sed 's/^shlibs:Depends=//')
cat >$stage/DEBIAN/control <<END
Package: latchkey
Version: $version
Architecture: $arch
Maintainer: latchkey's authors <latchkey@localhost>
Section: httpd
Priority: optional
Depends: $libraries, lua-cjson, adduser
Recommends: libjs-chart.js, logrotate
Suggests: redis-server, nginx
Description: login backend for mini-programs on WeChat and Douyin
 Trades login codes, opens sealed phone numbers with a ring of session keys,
 and keeps sessions durably.  One Lua policy per app says how logging in works;
 it is live when it is saved.  Configuration is nginx's syntax, the Lua API
 OpenResty's.
END
(cd $stage && find etc -type f | sed 's/^/\//') >$stage/DEBIAN/conffiles
install -m 0755 $here/postinst $here/prerm $stage/DEBIAN/
chmod -R u+w,go-w,a+rX $stage
dpkg-deb --root-owner-group --build $stage "build/latchkey_${version}_$arch.deb"
