import { type WallMillis, wallMillis } from '../../../src/core/base/index.ts'
import type { PathMember } from '../../../src/core/onion/path-member.ts'
import type { PathAsker } from '../../../src/core/onion/path-policy.ts'
import { peerIdText } from '../../../src/core/peers/peer-id-text.ts'

export const dayMs = 86_400_000
/** Now, for whoever has been there for long. */
export const wallStart = wallMillis(1_800_000_000_000)

/** The identity key of number `index`. */
export function keyOf(index: number): Uint8Array {
  const key = new Uint8Array(32).fill(7)
  new DataView(key.buffer).setUint32(0, index)
  return key
}

export const idOf = (index: number): string => peerIdText(keyOf(index))

/** Member `index`: a relay known for two days, with a public address in a /16 of its own. */
export function member(index: number, more: Partial<PathMember> = {}): PathMember {
  return {
    publicKey: keyOf(index),
    peerId: idOf(index),
    onionKey: new Uint8Array(32).fill(index),
    role: 'relay',
    addresses: [publicAddress(index)],
    family: [],
    firstSeenAt: wallMillis(wallStart - 2 * dayMs),
    ...more
  }
}

/** A public address in a /16 of its own, for up to 40,000 numbers. */
export const publicAddress = (index: number): string => `/ip4/${20 + Math.floor(index / 200)}.${1 + (index % 200)}.3.4/tcp/4001`

export const members = (count: number, more: Partial<PathMember> = {}): readonly PathMember[] =>
  Array.from({ length: count }, (_, index) => member(index + 1, more))

/** This node: number 0. */
export const asker = (more: Partial<PathAsker> = {}): PathAsker => ({ publicKey: keyOf(0), family: [], trust: new Set(), ...more })

export const atDay = (days: number): WallMillis => wallMillis(wallStart + days * dayMs)
