import { createOnionCrypto, type HopTarget, type OnionCrypto, OnionKeys, type RelayLimitValues } from '../../src/core/onion/index.ts'
import { cellCipher } from '../../src/crypto/cell/index.ts'
import { createSigner, createVerifier, nodeHandshakeCrypto } from '../../src/crypto/index.ts'
import { CellLinks } from '../../src/mesh/onion/cell-links.ts'
import { ClientLink } from '../../src/mesh/onion/client-link.ts'
import { type CircuitEnding, OwnCircuit } from '../../src/mesh/onion/own-circuit.ts'
import { type InboundCircuitHandler, type InboundCircuitStream, RelayService } from '../../src/mesh/onion/relay-service.ts'
import type { LinkHosts } from '../../src/mesh/onion/link-host.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { onionHosts } from '../../src/node/onion-host.ts'
import { clock, random, startTestHost, type TestHost, type TestHostOptions, timers } from './support.ts'

/** What nodes know of each other: all of it, in place of a directory. */
export class KnownNodes {
  readonly #nodes = new Map<string, readonly string[]>()

  add({ publicKey, addresses }: { readonly publicKey: Uint8Array; readonly addresses: readonly string[] }): void {
    this.#nodes.set(String(publicKey), addresses)
  }

  lookup(publicKey: Uint8Array): { readonly addresses: readonly string[] } | undefined {
    const addresses = this.#nodes.get(String(publicKey))
    return addresses === undefined ? undefined : { addresses }
  }
}

export interface RelayNode extends AsyncDisposable {
  readonly host: TestHost
  readonly crypto: OnionCrypto
  readonly links: CellLinks
  readonly relay: RelayService
  readonly target: HopTarget
  readonly addresses: readonly string[]
  /** A circuit of this node's own, without hops, over the link to a guard that its other circuits have, too. */
  circuit(guard: Pick<RelayNode, 'target' | 'addresses'>, onEnded?: (ending: CircuitEnding) => void, members?: number): Promise<OwnCircuit>
}

export interface RelayNodeOptions {
  readonly known: KnownNodes
  readonly limits?: Partial<RelayLimitValues>
  readonly maxLinks?: number
  readonly relay?: boolean
  /** Where others are, if not where `known` says. */
  readonly lookup?: (publicKey: Uint8Array) => { readonly addresses: readonly string[] } | undefined
  /** Where its links begin. */
  readonly hosts?: LinkHosts
  readonly hostOptions?: TestHostOptions
  readonly onStream?: (stream: InboundCircuitStream) => InboundCircuitHandler
}

/** Sends back whatever comes. */
export function echo(stream: InboundCircuitStream): InboundCircuitHandler {
  return {
    event: (event) => {
      if (event.type === 'data') {
        stream.consumed(event.bytes.length)
        stream.write(event.bytes)
      } else if (event.type === 'end') stream.end('done')
    },
    gone: () => undefined
  }
}

/** A node on 127.0.0.1 that carries circuits, serves streams at their end, and can make circuits of its own. */
export async function startRelayNode(options: RelayNodeOptions): Promise<RelayNode> {
  const { known, limits = {}, maxLinks = 512, relay: isRelay = true, onStream = echo, hostOptions = {} } = options
  const host = await startTestHost(hostOptions)
  const signer = createSigner(host.seed, 'test')
  const { publicKey } = signer
  const keys = new OnionKeys({ crypto: nodeHandshakeCrypto, now: clock.monotonic() })
  const crypto: OnionCrypto = createOnionCrypto({ crypto: nodeHandshakeCrypto, cipher: (await cellCipher()).cipher, keys, publicKey })
  const log = (record: (typeof host.logs)[number]): void => void host.logs.push(record)
  const tracker = new Tracker((what, error) => log({ level: 'error', event: what, fields: { code: error.code } }))
  const common = { clock, timers, tracker }
  const verifier = createVerifier('test')
  const links = new CellLinks({
    libp2p: host.libp2p,
    host: host.host,
    hosts: options.hosts ?? onionHosts({ log }),
    signer,
    verifier,
    ...common,
    log,
    isPaired: () => false
  })
  const relay = new RelayService({
    ...{ links, crypto, random, publicKey, onStream, limits, maxLinks, relay: isRelay, endpoint: true, ...common },
    lookup: options.lookup ?? ((key) => known.lookup(key)),
    isRelay: (key) => known.lookup(key) !== undefined
  })
  await relay.start()
  const addresses = host.libp2p.getMultiaddrs().map(String)
  known.add({ publicKey, addresses })
  const own = new Map<number, ClientLink>()
  const circuit: RelayNode['circuit'] = async (guard, onEnded = () => undefined, members = 9) => {
    const link = await links.open({
      as: 'client',
      publicKey: guard.target.publicKey,
      addresses: guard.addresses,
      make: (made) => {
        const linked = new ClientLink({ link: made, guard: guard.target.publicKey, clock, timers, random })
        own.set(made.id, linked)
        return linked
      }
    })
    const linked = own.get(link.id)
    if (linked === undefined) throw new Error('a link that nobody made')
    return OwnCircuit.over({ crypto, random, clock, timers, link: linked, members, onStreams: () => undefined, onEnded })
  }
  const stop = async (): Promise<void> => {
    relay.stop()
    await links.stop()
    await host[Symbol.asyncDispose]()
  }
  return { host, crypto, links, relay, target: { publicKey, onionKey: keys.publicKey }, addresses, circuit, [Symbol.asyncDispose]: stop }
}
