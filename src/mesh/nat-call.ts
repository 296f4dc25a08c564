import type { Libp2p } from '@libp2p/interface'
import type { NetworkFacts, TraversalMethod } from '../core/nat/index.ts'
import { startDeadline, within } from './deadline.ts'
import type { CallOptions, MeshStatus } from './mesh.ts'
import { natRates, natReport, type NatReport } from './nat-report.ts'
import type { PeerBook } from './peer-book.ts'
import type { Timers } from './ports.ts'
import type { TraversalKeeper } from './traversal-keeper.ts'
import { relayOf } from './traversal-ports.ts'

export interface NatCallParts {
  readonly libp2p: Libp2p
  readonly book: PeerBook
  readonly timers: Timers
  readonly traversals: TraversalKeeper
  /** Measures the own network, joining what is being measured; undefined when there is nobody to ask. */
  readonly measure: () => Promise<NetworkFacts | undefined>
}

const defaultTimeoutMs = 15_000
/** How long a measurement of the own network is waited for before a traversal, and after a quick one. */
const measureMs = { before: 300, after: 2_000 } as const

/** See Mesh.nat. @throws {MeshError} TIMEOUT, ABORTED */
export async function callNat(parts: NatCallParts, peerId: string, options: CallOptions & { readonly method?: TraversalMethod }): Promise<NatReport> {
  const { libp2p, book, timers, traversals } = parts
  const { method = 'auto', timeoutMs = defaultTimeoutMs, signal } = options
  using deadline = startDeadline(timers, { operation: 'Finding a way to the peer', timeoutMs, signal })
  const measured = traversals.ownFacts() === undefined ? parts.measure().catch(() => undefined) : Promise.resolve(undefined)
  await within(deadline, soon(timers, measured, measureMs.before))
  const traversal = await within(deadline, traversals.traverse(peerId, method, deadline.signal))
  const late =
    traversal.own === 'unknown' && traversal.ms < measureMs.after ? await within(deadline, soon(timers, measured, measureMs.after)) : undefined
  const relay = relayOf(libp2p, peerId)
  return natReport(late === undefined ? traversal : { ...traversal, own: late.natClass }, {
    peer: book.referenceOf(peerId),
    relay: relay === undefined ? undefined : book.referenceOf(relay),
    retryInMs: traversals.retryInMs(peerId),
    last100: traversals.rates.last100
  })
}

/** The rates as `status` tells them. */
export function ratesOf({ rates }: TraversalKeeper): MeshStatus['nat'] {
  return { ...natRates(rates.lifetime), last100: natRates(rates.last100) }
}

/** What `work` gives within a time; undefined otherwise. */
async function soon<T>(timers: Timers, work: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const cancel = timers.schedule(ms, () => resolve(undefined))
  try {
    return await Promise.race([work, promise])
  } finally {
    cancel()
  }
}
