import { dialAddress } from '../../core/base/dial-address.ts'
import { isOnionAddress, type OnionRole } from '../../core/onion/index.ts'

/** The addresses of this node for its descriptor, and the role that they allow. */
export interface OwnAddresses {
  readonly role: OnionRole
  readonly addresses: readonly string[]
}

type Reach = 'public' | 'circuit' | 'private' | 'loopback'
const bestFirst: readonly Reach[] = ['public', 'circuit', 'private', 'loopback']

/**
 * What of our multiaddrs others may be told. With public addresses, no private ones; loopback only when there is nothing else.
 * A node that others reach over circuit relays only, or whose direct addresses are private while it needs such relays, is an endpoint whatever it wants.
 */
export function ownAddresses(multiaddrs: readonly string[], wanted: OnionRole): OwnAddresses {
  const known = [...new Set(multiaddrs.map(withoutPeer))].filter((address) => isOnionAddress(address, 'endpoint'))
  const of = (...reaches: readonly Reach[]): readonly string[] =>
    known.filter((address) => reaches.includes(reachOf(address))).sort((a, b) => bestFirst.indexOf(reachOf(a)) - bestFirst.indexOf(reachOf(b)))
  if (wanted === 'relay' && of('public').length > 0) return { role: 'relay', addresses: of('public') }
  if (wanted === 'relay' && of('circuit').length === 0) return { role: 'relay', addresses: of('private').length > 0 ? of('private') : of('loopback') }
  const told = of('public').length > 0 ? of('public', 'circuit') : of('circuit', 'private')
  return { role: 'endpoint', addresses: told.length > 0 ? told : of('loopback') }
}

/**
 * What of a descriptor's addresses this node dials: whoever wrote them may want to lead it to what listens near it. A node with a public address dials
 * public ones only; one with private addresses no loopback ones; one with loopback addresses, or none, all.
 */
export function dialableAddresses(theirs: readonly string[], own: readonly string[]): readonly string[] {
  const reaches = new Set(own.map(withoutPeer).map(reachOf))
  const allowed: readonly string[] = reaches.has('public')
    ? ['public']
    : reaches.has('private')
      ? ['public', 'private']
      : ['public', 'private', 'loopback']
  return theirs.filter((address) => allowed.includes(scopeOf(address)))
}

/** Whether an address, with a peer id or without, is reached from everywhere and directly. */
export const isPublicAddress = (multiaddr: string): boolean => reachOf(withoutPeer(multiaddr)) === 'public'

/** `…/p2p/OWN` at the end says what the key says. */
const withoutPeer = (multiaddr: string): string => multiaddr.replace(/\/p2p\/[^/]+$/, '')

/** How far the first host of an address is reached: its own, or the circuit relay's. */
const scopeOf = (multiaddr: string): string => dialAddress(multiaddr.replace(/\/p2p\/.*$/, ''))?.scope ?? 'none'

function reachOf(multiaddr: string): Reach {
  if (multiaddr.endsWith('/p2p-circuit')) return 'circuit'
  const scope = scopeOf(multiaddr)
  return scope === 'public' || scope === 'loopback' ? scope : 'private'
}
