#!/usr/bin/env bash
# Installs what some suites need of the system: strace (a crash at each system call), iproute2, nftables and util-linux (network namespaces, other
# users), e2fsprogs (power cuts of an image), python3; for test/natlab also iptables (delay), coturn (STUN, TURN), miniupnpd, miniupnpc and natpmpc (mapped
# ports) and openssl. Wants root and apt; elsewhere it says what is missing and goes on, and those tests skip loudly.
set -euo pipefail

packages=(strace iproute2 nftables e2fsprogs util-linux mount python3 procps iptables coturn miniupnpd-nftables miniupnpc natpmpc openssl)
# Runs inside the laboratory only: it may not be started by being installed, nor at the next boot.
services=(coturn)
# Only compared with by a bench; its absence fails nothing.
optional=(nats-server)

if [ "$(id -u)" -ne 0 ] && sudo -n true 2> /dev/null; then
  exec sudo -n bash "${BASH_SOURCE[0]}"
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
  echo "setup:system: wants root and apt-get; please install yourself: ${packages[*]} (optional: ${optional[*]})"
  exit 0
fi

fresh=()
for service in "${services[@]}"; do
  [ -e "/etc/init.d/$service" ] || fresh+=("$service")
done
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends "${packages[@]}"
# Who had such a server before keeps it as it was.
for service in "${fresh[@]}"; do
  if [ -d /run/systemd/system ]; then systemctl disable --now "$service" || true; else update-rc.d "$service" disable > /dev/null 2>&1 || true; fi
done
apt-get install -y --no-install-recommends "${optional[@]}" || echo "setup:system: without ${optional[*]}, a bench leaves its comparison out"
