import { isLoopback } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isCircuit } from '../mesh/connections.ts'

/**
 * What others are told of this node's addresses: loopback ones only while there are no others. On another machine they lead to that machine itself, and
 * to whoever listens there.
 */
export function announced(addresses: Multiaddr[]): Multiaddr[] {
  const elsewhere = addresses.filter((address) => isCircuit(address) || !isLoopback(address))
  return elsewhere.some((address) => !isCircuit(address)) ? elsewhere : addresses
}
