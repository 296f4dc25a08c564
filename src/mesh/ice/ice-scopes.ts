import type { Multiaddr } from '@multiformats/multiaddr'
import { type AddressScope, addressScope } from '../../core/nat/index.ts'
import { hostOf } from '../connections.ts'

export interface IceScopes {
  /** Addresses of the peer to try. */
  readonly scopes: readonly AddressScope[]
  /** Own addresses to tell it. */
  readonly tells: readonly AddressScope[]
}

interface ScopeFacts {
  readonly isPaired: boolean
  readonly isInitiator: boolean
  readonly isLoopback: boolean
  readonly isRelayOnly: boolean
}

/** Of whom which addresses are tried, and told. This side chose the peer that it calls: what that one tells is tried; a stranger that calls may not send us around the own network. */
export function scopesOf({ isPaired, isInitiator, isLoopback, isRelayOnly }: ScopeFacts): IceScopes {
  const [near, far] = [['private', 'public'], ['public']] as const
  // With TURN alone the library's socket is on loopback, and must lead to nobody there.
  if (isLoopback && !isRelayOnly) return { scopes: ['loopback'], tells: ['loopback'] }
  return { scopes: isPaired || isInitiator ? near : far, tells: isPaired || isRelayOnly ? near : far }
}

/** The one address for a node that has to do with loopback addresses only: then nothing leaves the machine. `addresses`: where it listens, or whom it is connected with. */
export function loopbackOf(addresses: readonly Multiaddr[]): string | undefined {
  const hosts = addresses.map(hostOf)
  if (!hosts.every((host) => addressScope(host) === 'loopback')) return undefined
  return hosts.find((host) => !host.includes(':')) ?? hosts[0]
}
