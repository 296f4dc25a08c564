import { MeshError } from '../base/index.ts'
import { type AddressUse, checkAddress, ed25519PeerId, isHost } from './address.ts'

/** What the items of a list option are. */
export type ListItem = AddressUse | 'stun' | 'turn' | 'peer-id'

/** A STUN or TURN server that an option names. IPv6 addresses stand in brackets. */
export interface IceServer {
  readonly scheme: 'stun' | 'turn'
  readonly host: string
  /** 1 to 65,535, default 3478. */
  readonly port: number
}

const defaultPort = 3478
const serverPattern = /^(stun|turn):(?:\[([^\]]{1,45})\]|([^:[\]?/\s]{1,253}))(?::([1-9]\d{0,4}))?(\?transport=(udp|tcp))?$/i

/** @throws {MeshError} ADDRESS_INVALID, OPTION_INVALID, each naming the path */
export function checkListItem(item: string, kind: ListItem, path: string): string {
  if (kind === 'stun' || kind === 'turn') {
    parseIceServer(item, kind, path)
    return item
  }
  if (kind !== 'peer-id') return checkAddress(item, kind, path)
  if (!ed25519PeerId.test(item))
    throw new MeshError('OPTION_INVALID', { path, value: JSON.stringify(item.slice(0, 80)), allowed: 'a peer id, 12D3KooW…' })
  return item
}

/** `stun:HOST[:PORT]` or `turn:HOST[:PORT][?transport=udp]` (RFC 7064, RFC 7065). @throws {MeshError} ADDRESS_INVALID */
export function parseIceServer(text: string, scheme: IceServer['scheme'], path: string): IceServer {
  const fail = (reason: string): never => {
    // Other software takes credentials there: they are not repeated.
    const address = text.replace(/:.*@/s, ':…@').slice(0, 300)
    throw new MeshError('ADDRESS_INVALID', { address, path, reason, example: `${scheme}:${scheme}.example.org:${defaultPort}` })
  }
  if (text.includes('@')) return fail('credentials have options of their own: turn_username, and turn_password or turn_secret')
  if (/^(stun|turn)s:/i.test(text)) return fail('servers over TLS are not possible in Node: only UDP is')
  const [, found, ip6, name, port, , transport] = serverPattern.exec(text) ?? []
  if (found?.toLowerCase() !== scheme) return fail(`it is not ${scheme}:HOST or ${scheme}:HOST:PORT`)
  if (transport?.toLowerCase() === 'tcp') return fail('TURN over TCP is not possible in Node: only UDP is')
  if (transport !== undefined && scheme === 'stun') return fail('a STUN server has no transport')
  const host = ip6 ?? name ?? ''
  if (!isHost(host, ip6 !== undefined)) return fail(`${host} is neither an address nor a host name`)
  const number = port === undefined ? defaultPort : Number(port)
  if (number > 65_535) return fail(`${number} is not a port`)
  return { scheme, host, port: number }
}
