import { MeshError } from '../base/index.ts'

/** What an address is for: `listen` may have port 0 and has no peer id unless it is at a relay (`/p2p/RELAY/p2p-circuit`), `bootstrap` names the peer that is expected there, `announce` may. */
export type AddressUse = 'listen' | 'bootstrap' | 'announce'

const hostProtocols = ['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr'] as const
const dnsName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\.?$/i
const relayEnd = '/p2p-circuit'
export const ed25519PeerId = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/

class Segments {
  readonly #parts: readonly string[]
  #offset = 0

  constructor(address: string) {
    this.#parts = address.split('/').slice(1)
  }

  next(): string | undefined {
    return this.#parts[this.#offset++]
  }

  /** Takes the next segment when it is `name`. */
  take(name: string): boolean {
    if (this.#parts[this.#offset] !== name) return false
    this.#offset++
    return true
  }

  get rest(): readonly string[] {
    return this.#parts.slice(this.#offset)
  }
}

/**
 * Checks a multiaddr before anything is dialled: `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT[/ws|/wss|/tls/ws][/p2p/ID]` or `/dnsaddr/HOST/p2p/ID`;
 * to listen at a relay, the relay's address and `/p2p-circuit`.
 * @throws {MeshError} ADDRESS_INVALID with the reason and, where there is one, the address that was probably meant.
 */
export function checkAddress(address: string, use: AddressUse, path: string): string {
  const fail = (reason: string, suggestion?: string): never => {
    throw new MeshError('ADDRESS_INVALID', { address: address.slice(0, 300), path, reason, ...(suggestion === undefined ? {} : { suggestion }) })
  }
  if (address.length > 300) return fail('it has more than 300 characters')
  if (!address.startsWith('/')) return fail('it does not begin with /')
  const segments = new Segments(address)
  const protocol = segments.next() ?? ''
  // At a relay: what comes before is an address to dial.
  const atRelay = use === 'listen' && address.endsWith(relayEnd)
  const kind = atRelay ? 'bootstrap' : use
  checkHost(protocol, segments.next() ?? '', { address, use: kind, fail })
  if (protocol !== 'dnsaddr') checkTransport(segments, kind, fail)
  checkPeer(segments, kind, fail)
  if (segments.take('p2p-circuit') && !atRelay) fail('/p2p-circuit is for addresses to listen on')
  if (segments.rest.length > 0) fail(`/${segments.rest[0] ?? ''} is not expected after the peer id`)
  return address
}

type Fail = (reason: string, suggestion?: string) => never

function checkHost(protocol: string, host: string, context: { readonly address: string; readonly use: AddressUse; readonly fail: Fail }): void {
  const { address, use, fail } = context
  if (!hostProtocols.some((known) => known === protocol)) fail(`it begins with /${protocol}, not with /ip4, /ip6 or /dns4`)
  if (protocol === 'ip4' || protocol === 'ip6') {
    const valid = protocol === 'ip4' ? isIp4(host) : isIp6(host)
    if (valid) return
    const suggestion =
      dnsName.test(host) && !/^[\d.]+$/.test(host) ? address.replace(`/${protocol}/`, protocol === 'ip4' ? '/dns4/' : '/dns6/') : undefined
    fail(`${host === '' ? 'nothing' : host} is not an IPv${protocol === 'ip4' ? 4 : 6} address`, suggestion)
  }
  if (use === 'listen') fail('a node listens on /ip4 or /ip6')
  if (!dnsName.test(host)) fail(`${host === '' ? 'nothing' : host} is not a host name`)
}

function checkTransport(segments: Segments, use: AddressUse, fail: Fail): void {
  const transport = segments.next()
  if (transport === undefined) fail('the port is missing: add /tcp/9000')
  if (transport !== 'tcp') fail(`the transport ${transport} is not part of this version: use tcp`)
  const port = segments.next() ?? ''
  const lowest = use === 'listen' ? 0 : 1
  const isPort = /^(0|[1-9]\d{0,4})$/.test(port) && Number(port) >= lowest && Number(port) <= 65_535
  if (!isPort) fail(`${port === '' ? 'nothing' : port} is not a port from ${lowest} to 65535`)
  if (segments.take('tls')) {
    if (!segments.take('ws')) fail('/tls is followed by /ws')
  } else if (!segments.take('ws')) {
    segments.take('wss')
  }
}

function checkPeer(segments: Segments, use: AddressUse, fail: Fail): void {
  const isNamed = segments.take('p2p')
  if (isNamed && use === 'listen') fail('an address to listen on carries no peer id, or it ends in /p2p/RELAY/p2p-circuit')
  if (!isNamed && segments.rest.length > 0) fail(`/${segments.rest[0] ?? ''} is not expected there`)
  if (!isNamed && use === 'bootstrap') fail('the peer id is missing: it ends in /p2p/12D3KooW…')
  if (!isNamed) return
  const id = segments.next() ?? ''
  if (!ed25519PeerId.test(id)) fail(`${id === '' ? 'nothing' : id} is not a peer id`)
}

/** Whether `host` is an IPv4 address or a host name, or an IPv6 address. */
export const isHost = (host: string, isBracketed: boolean): boolean =>
  isBracketed ? isIp6(host) : isIp4(host) || (dnsName.test(host) && !/^[\d.]+$/.test(host))

function isIp4(host: string): boolean {
  const parts = host.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

function isIp6(host: string): boolean {
  const [address = '', zone] = host.split('%')
  if (zone !== undefined && !/^[a-z0-9._-]{1,15}$/i.test(zone)) return false
  const halves = address.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const tail = groups.at(-1) ?? ''
  const count = tail.includes('.') ? groups.length + 1 : groups.length
  const areGroups = groups.every((group, index) => /^[0-9a-f]{1,4}$/i.test(group) || (index === groups.length - 1 && isIp4(group)))
  return areGroups && (halves.length === 2 ? count < 8 : count === 8)
}
