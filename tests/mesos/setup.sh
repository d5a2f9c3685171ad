#!/usr/bin/env bash
# Builds a runnable Apache Mesos 1.11.0 (master and agents) in the folder given. A second call does nothing; calls
# at the same time wait for each other. Prints nothing unless there is something to do.
#
# Needs: Debian 12 (or alike) on x86-64, python3 with pip, g++, binutils, curl and the libraries svn, apr and sasl2.
# As root what is missing is installed with apt-get; otherwise its names are printed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: setup.sh FOLDER}
# Container images: the library mounts /proc/sysrq-trigger read-only, which not every kernel has. There another file of /proc, by a
# name of the same length, takes its place. A library that runs is not touched: the new one gets its name.
fit_kernel() {
  local library=$out/libmesos-1.11.0.so
  if [ -e /proc/sysrq-trigger ] || [ -e "$out/.without-sysrq" ]; then return; fi
  LC_ALL=C sed 's#/proc/sysrq-trigger#/proc///////version#g' "$library" >"$library.new"
  [ "$(stat -c %s "$library.new")" = "$(stat -c %s "$library")" ] || fail "the library has changed its size"
  chmod --reference="$library" "$library.new"
  mv "$library.new" "$library"
  touch "$out/.without-sysrq"
}
fail() { echo "tests/mesos/setup.sh: $*" >&2; exit 1; }
is_ready() { [ -e "$out/.ready" ] && { [ -e /proc/sysrq-trigger ] || [ -e "$out/.without-sysrq" ]; }; }
is_ready && exit 0
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
flock 9
if [ -e "$out/.ready" ]; then fit_kernel; exit 0; fi

[ "$(uname -sm)" = "Linux x86_64" ] || fail "the Mesos library is for Linux on x86-64, this is $(uname -sm)"

packages=()
command -v g++ >/dev/null || packages+=(g++)
command -v nm >/dev/null || packages+=(binutils)
command -v curl >/dev/null || packages+=(curl ca-certificates)
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
library() { ldconfig -p | grep -q "$1" || packages+=("$2"); }
library libsvn_subr-1.so.1 libsvn1
library libapr-1.so.0 libapr1
library libsasl2.so.2 libsasl2-2
if [ ${#packages[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "missing, and not root: apt-get install ${packages[*]}"
  echo "installing ${packages[*]}"
  said=$(apt-get update -qq 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" 2>&1) ||
    fail "cannot install ${packages[*]}: $said"
fi

package=mesos.scheduler==1.11.0.linux-x86_64
library_sum=84d7ee9af27e912636b139de40257df1ee4f56c201de6bba834278aa1e8fd64c
echo "building Mesos 1.11.0 in $out"
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
# pip resolves the package's address, then refuses it as no source package: take the address from what it says.
said=$(python3 -m pip download --no-deps --no-cache-dir --no-binary :all: -d "$work" "$package" 2>&1 || true)
url=$(grep -oE 'https?://[^ ]+/mesos\.scheduler-1\.11\.0\.linux-x86_64\.tar\.gz' <<<"$said" | head -n 1) ||
  fail "pip did not find $package: $said"
curl -sSfL --retry 3 -o "$work/mesos.tar.gz" "$url" || fail "cannot fetch $package"
tar -xzOf "$work/mesos.tar.gz" ./usr/local/lib/python2.7/dist-packages/mesos/scheduler/_scheduler.so >"$work/libmesos-1.11.0.so"
echo "$library_sum  $work/libmesos-1.11.0.so" | sha256sum --check --status || fail "$package is not the known build of 1.11.0"
mv "$work/libmesos-1.11.0.so" "$out/"

# The library was linked with OpenSSL 1.0, an older libcurl and Python 2.7; none is used by a cluster without
# TLS, so empty stand-ins with the versioned names that the loader wants are enough.
needed=$(nm -D --undefined-only "$out/libmesos-1.11.0.so" | awk '{print $2}')
stub() {  # stub FILE PATTERN VERSION...
  local file=$1 pattern=$2 version name names; shift 2
  rm -f "$work/map" "$work/stub.c"
  for version in "$@"; do
    echo "$version {" >>"$work/map"
    names=$(grep -E "$pattern" <<<"$needed" | grep "@$version\$" | sed 's/@.*//' || true)
    [ -z "$names" ] || echo " global:" >>"$work/map"
    for name in $names; do
      echo "long $name(void) { return 1; }" >>"$work/stub.c"
      echo "  $name;" >>"$work/map"
    done
    echo "};" >>"$work/map"
  done
  gcc -shared -fPIC -fno-builtin -w -o "$out/$file" "$work/stub.c" -Wl,-soname,"$file" -Wl,--version-script="$work/map"
}
stub libssl.so.1.0.0 '^(SSL|TLS)' OPENSSL_1.0.0 OPENSSL_1.0.1 OPENSSL_1.0.2
stub libcrypto.so.1.0.0 '^(ASN1|BIO|BN_|CRYPTO|EC_|ERR|EVP|GENERAL|HMAC|OPENSSL|PEM|RAND|RSA|SHA|X509|sk_)' OPENSSL_1.0.0 OPENSSL_1.0.1 OPENSSL_1.0.2
stub libcurl.so.4 '^curl' CURL_OPENSSL_3
echo 'long PyExc_Exception, PyExc_TypeError, _Py_NoneStruct[8];' | gcc -shared -fPIC -w -x c - -o "$out/libpythonstub.so"

g++ -O1 -w -o "$out/mesos-host" "$here/host.cpp" -ldl
ln -sf mesos-host "$out/mesos-containerizer"
install -m 755 "$here/mesos-fetcher" "$out/mesos-fetcher"
fit_kernel
touch "$out/.ready"
