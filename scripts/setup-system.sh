#!/usr/bin/env bash
# Installs what some suites need of the system: strace (a crash at each system call), iproute2, nftables and util-linux (network namespaces, other
# users), e2fsprogs (power cuts of an image), python3. Wants root and apt; elsewhere it says what is missing and goes on, and those tests skip loudly.
set -euo pipefail

packages=(strace iproute2 nftables e2fsprogs util-linux mount python3 procps)
# Only compared with by a bench; its absence fails nothing.
optional=(nats-server)

if [ "$(id -u)" -ne 0 ] && sudo -n true 2> /dev/null; then
  exec sudo -n bash "${BASH_SOURCE[0]}"
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
  echo "setup:system: wants root and apt-get; please install yourself: ${packages[*]} (optional: ${optional[*]})"
  exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends "${packages[@]}"
apt-get install -y --no-install-recommends "${optional[@]}" || echo "setup:system: without ${optional[*]}, a bench leaves its comparison out"
