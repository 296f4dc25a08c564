import { dialAddress } from '../base/dial-address.ts'
import { equalBytes, toHex, type WallMillis } from '../base/index.ts'
import { addressNetworks } from './address-network.ts'
import type { HopTarget } from './types.ts'

/** A member of circuits as the choice of paths sees it: what its verified descriptor says, and what this node saw of it. */
export interface PathMember extends HopTarget {
  readonly peerId: string
  /** An endpoint is the end of circuits only. */
  readonly role: 'relay' | 'endpoint'
  /** Multiaddrs without a peer id; of an endpoint also `…/p2p/RELAY/p2p-circuit`. */
  readonly addresses: readonly string[]
  /** Identity keys of relays of the same operator, as it says. */
  readonly family: readonly Uint8Array[]
  /** When this node heard of it first, by its own wall clock. */
  readonly firstSeenAt: WallMillis
}

/** What is compared of a member, worked out once. */
export interface MemberPlace {
  /** The /16 of each IPv4 address and the /32 of each IPv6 address (Tor path-spec section 2.2). */
  readonly networks: ReadonlySet<string>
  /** Has an address that can be called without asking anybody else. */
  readonly isDirect: boolean
  /** Has one of these that can be called from everywhere. */
  readonly isPublic: boolean
  /** Peer ids of the circuit relays (of the transport) over which it is reached: they see who reaches it. */
  readonly carriers: ReadonlySet<string>
}

const circuitPattern = /\/p2p\/([1-9A-HJ-NP-Za-km-z]{40,60})\/p2p-circuit/
const places = new WeakMap<PathMember, MemberPlace>()

/** Where `member` is, as far as its addresses tell. */
export function placeOf(member: PathMember): MemberPlace {
  const known = places.get(member)
  if (known !== undefined) return known
  const place = locate(member.addresses)
  places.set(member, place)
  return place
}

/** Whether two members have addresses in one network. */
export const isSameNetwork = (a: PathMember, b: PathMember): boolean => {
  const theirs = placeOf(b).networks
  for (const network of placeOf(a).networks) if (theirs.has(network)) return true
  return false
}

/** Whether both say that they are of one operator: one alone could keep others out of paths. */
export const isSameOperator = (a: PathMember, b: PathMember): boolean => names(a, b.publicKey) && names(b, a.publicKey)

const names = ({ family }: PathMember, key: Uint8Array): boolean => family.some((each) => equalBytes(each, key))

/** In how many places `members` are: those that share a network are in one, and one with IPv4 and IPv6 is in one, too. */
export function networkCount(members: readonly PathMember[]): number {
  let groups: readonly ReadonlySet<string>[] = []
  for (const member of members) {
    const { networks } = placeOf(member)
    if (networks.size === 0) continue
    const shares = (group: ReadonlySet<string>): boolean => [...networks].some((network) => group.has(network))
    const joined = new Set([...networks, ...groups.filter(shares).flatMap((group) => [...group])])
    groups = [...groups.filter((group) => !shares(group)), joined]
  }
  return groups.length
}

/** How many operators there are among `members`, as far as they say it of each other. */
export function operatorCount(members: readonly PathMember[]): number {
  const byKey = new Map(members.map((member) => [toHex(member.publicKey), member]))
  const seen = new Set<PathMember>()
  let count = 0
  for (const member of members) {
    if (seen.has(member)) continue
    count += 1
    const open = [member]
    for (let one = open.pop(); one !== undefined; one = open.pop()) {
      if (seen.has(one)) continue
      seen.add(one)
      for (const key of one.family) {
        const other = byKey.get(toHex(key))
        if (other !== undefined && isSameOperator(one, other)) open.push(other)
      }
    }
  }
  return count
}

function locate(addresses: readonly string[]): MemberPlace {
  const carriers = new Set<string>()
  const scopes = new Set<string>()
  for (const address of addresses) {
    const carrier = circuitPattern.exec(address)?.[1]
    if (carrier !== undefined) carriers.add(carrier)
    else scopes.add(dialAddress(address)?.scope ?? '')
  }
  scopes.delete('')
  return { networks: new Set(addressNetworks(addresses)), carriers, isDirect: scopes.size > 0, isPublic: scopes.has('public') }
}
