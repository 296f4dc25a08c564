import type { IceCandidate } from './ice-frames.ts'
import { addressScope, type Endpoint, isSameEndpoint, parseIp } from './ip-address.ts'
import type { ConnectionPath } from './types.ts'

/** One end of the selected candidate pair, as the library tells it. `prflx`: an address that was seen on the way, before or without being told. */
export interface PairEnd extends Endpoint {
  readonly type: IceCandidate['type'] | 'prflx'
}

export interface CandidatePair {
  readonly local: PairEnd
  readonly remote: PairEnd
}

/**
 * How a connection over a pair goes. `told` are the candidates of the peer: checks may come before them, and an address that looks found on the way is then
 * one of these. Of its own side the library names the address of the socket, whatever NATs are before it.
 */
export function pathOfPair({ local, remote }: CandidatePair, told: readonly IceCandidate[]): ConnectionPath {
  const known = told.find((candidate) => isSameEndpoint(candidate, remote))
  const type = known?.type ?? remote.type
  if (local.type === 'relay' || type === 'relay') return 'turn'
  const scope = addressScope(remote.address)
  if (remote.address.includes(':')) return scope === 'public' ? 'direct-ipv6' : 'direct-lan'
  if (scope !== 'public') return isCarrierSpace(remote.address) ? 'punched' : 'direct-lan'
  const isOpen = type === 'host' || (local.type === 'host' && addressScope(local.address) === 'public')
  return isOpen ? 'direct-public' : 'punched'
}

/** 100.64/10 (RFC 6598): between a home's router and the carrier's NAT, thus behind a NAT and no LAN. */
function isCarrierSpace(address: string): boolean {
  const [a = 0, b = 0] = parseIp(address) ?? []
  return a === 100 && b >> 6 === 1
}
