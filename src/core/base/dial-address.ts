import { type IpScope, ipScope } from './ip-scope.ts'

/** An address that can be dialled without asking anybody else: an IP address, a TCP port, perhaps WebSocket. */
export interface DialAddress {
  /** The multiaddr without a peer id. */
  readonly text: string
  readonly host: string
  readonly scope: IpScope
  readonly port: number
}

const pattern = /^\/ip([46])\/([0-9a-fA-F.:]{2,45})\/tcp\/([1-9]\d{0,4})(\/ws)?(?:\/p2p\/([1-9A-HJ-NP-Za-km-z]{40,60}))?$/

/**
 * Reads a multiaddr of IP, TCP and perhaps WebSocket, and nothing else: no names, since whoever resolves them is led anywhere, and no circuits.
 * undefined for anything else, and when it names another peer than `peerId`.
 */
export function dialAddress(multiaddr: string, peerId?: string): DialAddress | undefined {
  const [, family, host = '', port = '', ws = '', id] = pattern.exec(multiaddr) ?? []
  const scope = ipScope(host)
  if (scope === undefined || Number(port) > 65_535 || (family === '6') !== host.includes(':')) return undefined
  if (id !== undefined && peerId !== undefined && id !== peerId) return undefined
  return { text: `/ip${family}/${host}/tcp/${port}${ws}`, host, scope, port: Number(port) }
}
