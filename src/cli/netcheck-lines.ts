import type { Catalogue, OutputOf } from '../api/index.ts'
import { classText } from './nat-lines.ts'
import { type Output, safe } from './output.ts'
import { count, milliseconds, table } from './text.ts'

type Report = OutputOf<Catalogue['netcheck']>

/** The network around the node, then what is wrong with it. */
export function netcheckLines(report: Report, output: Output): readonly string[] {
  const { nat, udp, ipv6, publicAddress, confirmed, findings } = report
  const address =
    publicAddress === undefined ? 'not known' : `${safe(publicAddress.address)} port ${publicAddress.port} over UDP, as STUN servers see it`
  const rows: readonly (readonly string[])[] = [
    ['  NAT', nat.mapping === 'unknown' ? classText(nat.class) : `${classText(nat.class)} (mapping ${nat.mapping}, filtering ${nat.filtering})`],
    ['  UDP', udpTexts[udp]],
    ['  IPv6', ipv6 ? 'a global address' : 'no global address'],
    ['  public address', address],
    ['  port mapping', mappingText(report)],
    ['  reached at', confirmed.length === 0 ? 'no public address that a peer has confirmed' : confirmed.map(safe).join(', ')],
    ...report.stun.map((server, index) => [index === 0 ? '  STUN' : '', stunText(server)]),
    ...(report.stun.length === 0 ? [['  STUN', 'no server']] : []),
    ...report.relays.map((relay, index) => [index === 0 ? '  relays' : '', relayText(relay)]),
    ...(report.relays.length === 0 ? [['  relays', 'none']] : []),
    ['  punching', punchingText(report)]
  ]
  const good = `${output.paint('green', '✓')} nothing is wrong`
  return [
    `${output.paint('bold', headline(report))}   looked at in ${milliseconds(report.ms)}`,
    ...table(rows),
    ...(findings.length === 0
      ? [good]
      : findings.flatMap(({ code, message, hint }) => [`${output.paint('yellow', '!')} ${safe(message)} (${safe(code)})`, `  ${safe(hint)}`]))
  ]
}

function headline({ nat, udp, ipv6 }: Report): string {
  const notes = [
    classText(nat.class),
    ...(nat.class === 'udp-blocked' ? [] : [`UDP ${udp === 'unknown' ? 'not known' : udp}`]),
    ipv6 ? 'IPv6' : 'no IPv6'
  ]
  return `you: ${notes.join(' · ')}`
}

function punchingText({ ice, udp, turnServers }: Report): string {
  if (!ice.available) return `not possible: ${safe(ice.reason ?? '')}`
  return udp === 'blocked' ? 'not possible: UDP is blocked' : `possible, ${count(turnServers, 'TURN server')}`
}

const udpTexts = { open: 'open', blocked: 'blocked', unknown: 'not known' } as const

function mappingText({ portMapping: { state, protocol = '', address = '', confirmed = false, reason = '' } }: Report): string {
  switch (state) {
    case 'off':
      return 'off'
    case 'searching':
      return 'looking for a router that opens one'
    case 'none':
      return `none: ${safe(reason)}`
    case 'mapped':
      return `${safe(address)} by ${safe(protocol)}, ${confirmed ? 'confirmed' : 'not confirmed'} from outside`
  }
}

const results = {
  answered: 'answered',
  silent: 'no answer',
  unresolved: 'no such name',
  unreachable: 'no route',
  implausible: 'not believed'
} as const

function stunText({ host, port, address, result, ms }: Report['stun'][number]): string {
  const where = `${safe(host)} port ${port}${address === undefined || address === host ? '' : ` (${safe(address)})`}`
  return `${where}  ${results[result]}${ms === undefined ? '' : ` in ${milliseconds(ms)}`}`
}

function relayText({ name, address, reserved, latencyMs }: Report['relays'][number]): string {
  const latency = latencyMs === undefined ? 'no answer' : `round trip ${milliseconds(latencyMs)}`
  return `${safe(name)}  ${reserved ? 'a place' : 'no place'}, ${latency}  ${safe(address)}`
}
