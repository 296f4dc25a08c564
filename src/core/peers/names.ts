import { MeshError } from '../base/index.ts'

/** A paired peer, as its name is pinned: what its card says today changes nothing. */
export interface PairedName {
  readonly peerId: string
  /** The name on its card when it was paired. */
  readonly name: string
  /** Our own name for it; '' when there is none. */
  readonly alias: string
  /** The labels on its verified card. */
  readonly labels: readonly string[]
}

/** A name that a peer that is not paired says it has. */
export interface NameClaim {
  readonly peerId: string
  readonly name: string
  readonly labels: readonly string[]
}

export interface NameBook {
  readonly paired: readonly PairedName[]
  readonly claims: readonly NameClaim[]
}

/** Whom a text means. `claimed`: only a stranger says so. */
export interface ResolvedName {
  readonly peerId: string
  readonly by: 'peer-id' | 'address' | 'alias' | 'prefix' | 'short-id' | 'name' | 'label'
  readonly claimed: boolean
  /** The address in the text, when it was a multiaddr. */
  readonly address: string | undefined
}

/** What every Ed25519 peer id begins with, so that it tells nothing. */
const commonPrefix = '12D3KooW'
const peerIdPattern = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/
const prefixPattern = /^[1-9A-HJ-NP-Za-km-z]{6,44}$/
/** The end of a peer id as it is shown, with three dots or their one sign before it. */
const shortIdPattern = /^(?:…|\.\.\.)([1-9A-HJ-NP-Za-km-z]{8,44})$/
const maxShown = 10

/** The end of a peer id in a short one as it is shown (`…gu8UwZdi`, or with three dots); undefined when `text` is none. */
export const shortIdOf = (text: string): string | undefined => shortIdPattern.exec(text)?.[1]

/** Whether `text` is the peer id of an Ed25519 key. */
export const isPeerId = (text: string): boolean => peerIdPattern.test(text)

/**
 * Resolves a destination (rules S5): a multiaddr or a whole peer id says it itself; then own aliases, prefixes of the differing part of a paired peer's id
 * (6 characters or more), short ids as they are shown (`…gu8UwZdi`), names and labels of paired peers, and last what strangers claim or are shown as.
 * @throws {MeshError} NAME_AMBIGUOUS with the candidates, PEER_UNKNOWN with the nearest names, ADDRESS_INVALID
 */
export function resolveName(text: string, book: NameBook): ResolvedName {
  if (text.startsWith('/')) return fromAddress(text)
  if (isPeerId(text)) return { peerId: text, by: 'peer-id', claimed: false, address: undefined }
  for (const { by, claimed, found } of candidates(text, book)) {
    const peerIds = [...new Set(found)]
    const [peerId] = peerIds
    if (peerIds.length > 1) throw new MeshError('NAME_AMBIGUOUS', { name: text, candidates: peerIds.slice(0, maxShown) })
    if (peerId !== undefined) return { peerId, by, claimed, address: undefined }
  }
  throw new MeshError('PEER_UNKNOWN', { name: text, nearest: nearestNames(text, book) })
}

interface Candidates {
  readonly by: ResolvedName['by']
  readonly claimed: boolean
  readonly found: readonly string[]
}

function candidates(text: string, { paired, claims }: NameBook): readonly Candidates[] {
  if (text === '') return []
  const ids = <Peer extends { readonly peerId: string }>(peers: readonly Peer[], matches: (peer: Peer) => boolean): readonly string[] =>
    peers.filter(matches).map((peer) => peer.peerId)
  const tail = text.startsWith(commonPrefix) ? text.slice(commonPrefix.length) : text
  const isPrefix = prefixPattern.test(tail)
  const end = shortIdOf(text)
  const hasEnd = ({ peerId }: { readonly peerId: string }): boolean => end !== undefined && peerId.endsWith(end)
  return [
    { by: 'alias', claimed: false, found: ids(paired, (peer) => peer.alias === text) },
    { by: 'prefix', claimed: false, found: ids(paired, (peer) => isPrefix && peer.peerId.startsWith(tail, commonPrefix.length)) },
    { by: 'short-id', claimed: false, found: ids(paired, hasEnd) },
    { by: 'name', claimed: false, found: ids(paired, (peer) => peer.name === text) },
    { by: 'label', claimed: false, found: ids(paired, (peer) => peer.labels.includes(text)) },
    { by: 'name', claimed: true, found: ids(claims, (claim) => claim.name === text || claim.labels.includes(text)) },
    { by: 'short-id', claimed: true, found: ids(claims, hasEnd) }
  ]
}

function fromAddress(text: string): ResolvedName {
  const parts = text.split('/')
  const peerId = parts.at(-1) ?? ''
  if (parts.at(-2) !== 'p2p' || !isPeerId(peerId))
    throw new MeshError('ADDRESS_INVALID', { address: text.slice(0, 300), reason: 'it does not end in /p2p/ and a peer id' })
  return { peerId, by: 'address', claimed: false, address: text }
}

/** Up to three known names that differ little from `text`. */
export function nearestNames(text: string, { paired, claims }: NameBook): readonly string[] {
  const names = new Set(
    [...paired.flatMap((peer) => [peer.alias, peer.name, ...peer.labels]), ...claims.map((claim) => claim.name)].filter((name) => name !== '')
  )
  const short = text.slice(0, 64)
  const most = Math.max(2, Math.floor(short.length / 3))
  return [...names]
    .map((name) => ({ name, distance: editDistance(short.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name)
}

/** Levenshtein's distance; both texts are at most 64 characters here. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + change))
    }
    row = next
  }
  return row[b.length] ?? 0
}
