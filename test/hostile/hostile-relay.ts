import { multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../../src/core/base/index.ts'
import { type Cell, cellCommands, createOnionCrypto, OnionKeys } from '../../src/core/onion/index.ts'
import { cellCipher } from '../../src/crypto/cell/index.ts'
import { createSigner, createVerifier, nodeHandshakeCrypto, nodeNtorHashes } from '../../src/crypto/index.ts'
import type { CellLink, CellLinkPort, LinkHandler, LinkTarget, MakeHandler } from '../../src/mesh/onion/cell-link.ts'
import { CellLinks } from '../../src/mesh/onion/cell-links.ts'
import { DirectoryService } from '../../src/mesh/onion/directory-service.ts'
import { RelayService } from '../../src/mesh/onion/relay-service.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { gossipPort } from '../../src/node/host-ports.ts'
import { onionHosts } from '../../src/node/onion-host.ts'
import { clock, random, startTestHost, timers } from '../net/support.ts'

/** What a relay does with the cells that pass it. */
export interface Mischief {
  /** Cells that came, before the relay handles them; what is returned is handled. */
  readonly received?: (cells: readonly Cell[], link: MeddledLink) => readonly Cell[] | Promise<readonly Cell[]>
  /** Cells that go, at most half as many as there is room for. */
  readonly sent?: (cells: readonly Cell[], link: MeddledLink) => readonly Cell[]
}

/** A link as a hostile relay has it. */
export interface MeddledLink {
  readonly opener: 'us' | 'peer'
  /** Sends a cell beside what the relay sends. */
  inject(cell: Cell): void
}

/** The links of a relay that meddles with their cells. */
class MeddledLinks implements CellLinkPort {
  readonly #inner: CellLinkPort
  readonly #mischief: () => Mischief

  constructor(inner: CellLinkPort, mischief: () => Mischief) {
    this.#inner = inner
    this.#mischief = mischief
  }

  serve(accept: MakeHandler): Promise<void> {
    return this.#inner.serve((link) => this.#meddle(link, accept(link)))
  }

  open(target: LinkTarget): Promise<CellLink> {
    return this.#inner.open({ ...target, make: (link) => this.#meddle(link, target.make(link)) })
  }

  isLinkPeer(peerId: string): boolean {
    return this.#inner.isLinkPeer(peerId)
  }

  stop(): Promise<void> {
    return this.#inner.stop()
  }

  #meddle(link: CellLink, handler: LinkHandler): LinkHandler {
    const injected: Cell[] = []
    const inject = (cell: Cell): void => {
      injected.push(cell)
      link.wake()
    }
    const meddled: MeddledLink = { opener: link.opener, inject }
    const give = (cells: readonly Cell[]): void | Promise<void> => (cells.length === 0 ? undefined : handler.receive(cells))
    return {
      take: (max) => {
        const extra = injected.splice(0, max)
        if (extra.length > 0) return extra
        const { sent } = this.#mischief()
        return sent === undefined ? handler.take(max) : sent(handler.take(Math.ceil(max / 2)), meddled)
      },
      receive: (cells) => {
        const { received } = this.#mischief()
        if (received === undefined) return handler.receive(cells)
        const kept = received(cells, meddled)
        return kept instanceof Promise ? kept.then(give) : give(kept)
      },
      ended: (error) => handler.ended(error),
      get circuits() {
        return handler.circuits
      }
    }
  }
}

export interface HostileRelay extends AsyncDisposable {
  readonly peerId: string
  /** Circuits that run over it now. */
  readonly circuits: () => number
  /** Members of the directory that it knows. */
  readonly knows: () => number
  /** What it does from now on; nothing in particular: it is honest. */
  behave(mischief: Mischief): void
  /** Is gone from one moment to the next: no circuit is told. */
  kill(): Promise<void>
}

/** A relay made of the real parts, in the directory of the network like any other. */
export async function startHostileRelay(network: string, bootstrap: string): Promise<HostileRelay> {
  const node = await startTestHost({ network })
  const signer = createSigner(node.seed, network)
  const verifier = createVerifier(network)
  const { publicKey } = signer
  const keys = new OnionKeys({ crypto: nodeHandshakeCrypto, now: clock.monotonic() })
  const { cipher } = await cellCipher()
  const crypto = createOnionCrypto({ crypto: nodeHandshakeCrypto, cipher, hashes: nodeNtorHashes, keys, publicKey })
  const log = (record: (typeof node.logs)[number]): void => void node.logs.push(record)
  const tracker = new Tracker((what, error) => log({ level: 'error', event: what, fields: { code: error.code } }))
  const common = { libp2p: node.libp2p, host: node.host, signer, verifier, clock, timers, log }
  const inner = new CellLinks({ ...common, hosts: onionHosts({ log }), tracker, isPaired: () => false })
  const directory = new DirectoryService({
    ...{ ...common, random, network, gossip: gossipPort(node.libp2p), isProtected: () => false },
    store: { load: async () => undefined, save: async () => undefined },
    describe: () => ({ role: 'relay', onionKey: keys.publicKey, family: [], levels: [1, 3, 5], bytesPerSecond: 1_048_576 })
  })
  let mischief: Mischief = {}
  const relay = new RelayService({
    ...{ links: new MeddledLinks(inner, () => mischief), crypto, random, clock, timers, tracker, publicKey, relay: true, endpoint: false },
    lookup: (key) => directory.lookup(key),
    isRelay: (key) => directory.get(key)?.descriptor.role === 'relay',
    onStream: () => {
      throw new MeshError('INTERNAL', { reason: 'no endpoint' })
    }
  })
  await directory.start()
  await relay.start()
  await node.libp2p.dial(multiaddr(bootstrap))
  const kill = async (): Promise<void> => {
    await Promise.all([directory.stop(), inner.stop()])
    await node.libp2p.stop()
  }
  return {
    peerId: node.peerId,
    circuits: () => relay.counters.circuits,
    knows: () => directory.all().length,
    behave: (next) => void (mischief = next),
    kill,
    [Symbol.asyncDispose]: kill
  }
}

const isRelayed = ({ command }: Cell): boolean => command === cellCommands.relay || command === cellCommands.relayEarly

/** Counts how often something was done. */
export class Deeds {
  count = 0

  done<Value>(value: Value): Value {
    this.count += 1
    return value
  }
}

/** Ways of being hostile: each counts its deeds. `every`: only each so-manieth cell that is relayed. */
export const mischiefs = {
  /** Says nothing more to either side, not even that circuits have ended. */
  dropAll: (deeds: Deeds): Mischief => ({
    received: (cells) => cells.filter((cell) => !(isRelayed(cell) || cell.command === cellCommands.destroy) || deeds.done(false))
  }),

  drop: (deeds: Deeds, every: number): Mischief => {
    let seen = 0
    return { sent: (cells) => cells.filter((cell) => !isRelayed(cell) || ++seen % every !== 0 || deeds.done(false)) }
  },

  flip: (deeds: Deeds, every: number): Mischief => {
    let seen = 0
    const flipped = ({ body, ...cell }: Cell): Cell => ({ ...cell, body: body.map((byte, index) => (index === 500 ? byte ^ 1 : byte)) })
    return { sent: (cells) => cells.map((cell) => (!isRelayed(cell) || ++seen % every !== 0 ? cell : deeds.done(flipped(cell)))) }
  },

  duplicate: (deeds: Deeds, every: number): Mischief => {
    let seen = 0
    const twice = (cell: Cell): readonly Cell[] => [cell, { ...cell, body: cell.body.slice() }]
    return { sent: (cells) => cells.flatMap((cell) => (!isRelayed(cell) || ++seen % every !== 0 ? [cell] : deeds.done(twice(cell)))) }
  },

  /** Holds a cell back until the next one of the same circuit and link is there, which goes first. */
  reorder: (deeds: Deeds, every: number): Mischief => {
    let seen = 0
    const held = new Map<MeddledLink, Cell>()
    const swap = (cell: Cell, link: MeddledLink): readonly Cell[] => {
      const first = held.get(link)
      if (first?.circuit === cell.circuit) {
        held.delete(link)
        return deeds.done([cell, first])
      }
      if (!isRelayed(cell) || ++seen % every !== 0 || first !== undefined) return [cell]
      held.set(link, { ...cell, body: cell.body.slice() })
      return []
    }
    return { sent: (cells, link) => cells.flatMap((cell) => swap(cell, link)) }
  },

  delay: (deeds: Deeds, ms: number): Mischief => ({
    received: (cells) => new Promise((resolve) => setTimeout(() => resolve(deeds.done(cells)), ms))
  }),

  /** Ends every circuit that is asked for. */
  refuse: (deeds: Deeds): Mischief => ({
    received: (cells, link) =>
      cells.filter(({ circuit, command, body }) => {
        if (link.opener === 'us' || command !== cellCommands.create) return true
        link.inject({ circuit, command: cellCommands.destroy, body: random.bytes(body.length) })
        return deeds.done(false)
      })
  }),

  /** Answers CREATE, and then nothing. */
  neverExtend: (deeds: Deeds): Mischief => ({
    received: (cells, { opener }) => cells.filter(({ command }) => opener === 'us' || command !== cellCommands.relayEarly || deeds.done(false))
  }),

  /** Answers EXTEND with what no hop has made. */
  garbageExtended: (deeds: Deeds): Mischief => ({
    received: (cells) =>
      cells.map((cell) => (cell.command === cellCommands.created ? deeds.done({ ...cell, body: random.bytes(cell.body.length) }) : cell))
  }),

  /** Ends circuits as soon as something else than CREATE comes over them. */
  closeAtOnce: (deeds: Deeds): Mischief => ({
    received: (cells, link) =>
      cells.map((cell) => {
        if (link.opener === 'us' || !isRelayed(cell)) return cell
        const destroy = (): Cell => ({ circuit: cell.circuit, command: cellCommands.destroy, body: random.bytes(cell.body.length) })
        link.inject(destroy())
        return deeds.done(destroy())
      })
  })
} as const
