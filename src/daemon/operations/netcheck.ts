import type { NetcheckReport } from '../../mesh/netcheck-report.ts'
import { type Handler, present } from './context.ts'

export const netcheck: Handler<'netcheck'> = async ({ timeoutMs }, { mesh, signal }) => {
  const report = await mesh.netcheck({ timeoutMs, signal })
  const { natClass, mapping, filtering, udp, publicAddress, ipv6, confirmed, turnServers, ms, iceUnavailable, findings } = report
  return {
    nat: { class: natClass, mapping, filtering },
    udp,
    ...(publicAddress === undefined ? {} : { publicAddress: { ...publicAddress } }),
    ipv6,
    confirmed: [...confirmed],
    portMapping: wireMapping(report),
    stun: report.stun.map(({ host, port, address, result, roundTripMs }) => ({ host, port, result, ...present({ address, ms: roundTripMs }) })),
    relays: report.relays.map(({ peerId, name, address, reserved, latencyMs }) => ({ peerId, name, address, reserved, ...present({ latencyMs }) })),
    ice: { available: iceUnavailable === undefined, ...present({ reason: iceUnavailable }) },
    turnServers,
    ms: Math.round(ms),
    findings: findings.map(({ code, message, hint }) => ({ code, message, hint }))
  }
}

function wireMapping({ portMapping }: NetcheckReport) {
  if (portMapping.state === 'none') return { state: portMapping.state, reason: portMapping.reason }
  if (portMapping.state !== 'mapped') return { state: portMapping.state }
  const { state, protocol, address, isConfirmed } = portMapping
  return { state, protocol, address, confirmed: isConfirmed }
}
