import assert from 'node:assert/strict'
import { type Clock, wallMillis } from '../../src/core/base/index.ts'
import { Paths } from '../../src/mesh/connections.ts'
import { Dialler } from '../../src/mesh/dialler.ts'
import type { OwnAddress, OwnAddressPort, PortMappingPort } from '../../src/mesh/mapping-ports.ts'
import { keyOf, PeerBook } from '../../src/mesh/peer-book.ts'
import { Reachability, type ReachabilityOptions } from '../../src/mesh/reachability.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { clock as realClock, startTestHost, type TestHost, type TestHostOptions, timers } from './support.ts'

export interface Reaching extends TestHost {
  readonly reach: Reachability
  readonly paths: Paths
  readonly book: PeerBook
  /** Makes the other one a paired peer of this one. */
  pair(other: { readonly peerId: string }): void
  /** Where it listens, without its id. */
  address(): string
}

export type ReachingOptions = Partial<Pick<ReachabilityOptions, 'facts' | 'abilities' | 'own' | 'mapping' | 'isHelper' | 'onDialled'>> & {
  /** Of the libp2p node and its protocols. */
  readonly node?: TestHostOptions
  readonly clock?: Clock
}

/** A real node with the protocol `nat`; ends with `await using`. */
export async function startReaching(options: ReachingOptions = {}): Promise<Reaching> {
  const { node: nodeOptions, clock = realClock, ...parts } = options
  const node = await startTestHost(nodeOptions)
  const { libp2p, host } = node
  const paths = new Paths()
  const wall = (): ReturnType<typeof wallMillis> => wallMillis(1)
  const book = new PeerBook({
    ownPeerId: node.peerId,
    ownName: '',
    pairs: [],
    blocked: [],
    pathTo: () => undefined,
    wall,
    groupOf: () => assert.fail('no message comes here')
  })
  const reach = new Reachability({
    libp2p,
    host,
    book,
    paths,
    platform: { clock, timers },
    dialler: new Dialler({ libp2p, port: libp2p.services.dialler, timers }),
    own: libp2p.services.own,
    mapping: undefined,
    tracker: new Tracker((what, error) => node.logs.push({ level: 'warn', event: error.code, fields: { what } })),
    log: (record) => node.logs.push(record),
    facts: () => undefined,
    showCard: () => Promise.resolve(),
    onDialled: () => undefined,
    abilities: () => ({ ice: true, turn: false }),
    isFriend: (peerId) => book.pairOf(peerId) !== undefined,
    isHelper: () => false,
    ...parts
  })
  await reach.start()
  return {
    ...node,
    reach,
    paths,
    book,
    pair: ({ peerId }) => book.pair({ publicKey: keyOf(peerId), peerId, name: '', alias: '', addresses: [], pairedAt: wall(), commands: true }),
    address: () => String(libp2p.getMultiaddrs()[0]).replace(/\/p2p\/.*$/, ''),
    [Symbol.asyncDispose]: async () => {
      await reach.stop()
      await node[Symbol.asyncDispose]()
    }
  }
}

/** Addresses that exist in a test only: what is confirmed, and what is mapped. */
export class FakeAddresses implements OwnAddressPort {
  readonly addresses = new Map<string, boolean>()

  constructor(addresses: readonly string[]) {
    for (const address of addresses) this.addresses.set(address, false)
  }

  list(): readonly OwnAddress[] {
    return [...this.addresses].map(([address, isVerified]) => ({ address, isVerified }))
  }

  get confirmed(): readonly string[] {
    return this.list().flatMap(({ address, isVerified }) => (isVerified ? [address] : []))
  }

  confirm(address: string): void {
    this.addresses.set(address, true)
  }

  doubt(address: string): void {
    this.addresses.set(address, false)
  }

  addMapping(_internal: unknown, { address, port }: { readonly address: string; readonly port: number }): void {
    this.addresses.set(`/ip4/${address}/tcp/${port}`, false)
  }

  removeMapping(_internal: unknown, { address, port }: { readonly address: string; readonly port: number }): void {
    this.addresses.delete(`/ip4/${address}/tcp/${port}`)
  }
}

/** A router that answers as it is told. */
export class FakeRouter implements PortMappingPort {
  readonly asked: string[] = []
  answer: Awaited<ReturnType<PortMappingPort['map']>> = { externalAddress: '11.77.26.2', externalPort: 9_000, protocol: 'upnp', leaseMs: 3_600_000 }
  unmapped = 0
  near: string | undefined

  nearRouter(): string | undefined {
    return this.near
  }

  map({ address, port }: { readonly address: string; readonly port: number }): ReturnType<PortMappingPort['map']> {
    this.asked.push(`${address}:${port}`)
    return Promise.resolve(this.answer)
  }

  unmapAll(): Promise<void> {
    this.unmapped += 1
    return Promise.resolve()
  }
}
