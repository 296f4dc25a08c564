import { type Clock, type Signer, wallMillis } from '../../src/core/base/index.ts'
import { encodeDescriptor, type OnionDescriptor } from '../../src/core/onion/index.ts'
import { createSigner, createVerifier, sha256 } from '../../src/crypto/index.ts'
import type { GossipPort, GossipVerdict } from '../../src/mesh/cards.ts'
import { DirectoryService, type DirectoryServiceOptions } from '../../src/mesh/onion/directory-service.ts'
import { peerIdOfKey } from '../../src/mesh/peer-keys.ts'
import { gossipPort } from '../../src/node/host-ports.ts'
import { clock, random, startTestHost, type TestHost, timers } from './support.ts'

export const network = 'test'

export interface Member extends AsyncDisposable {
  readonly node: TestHost
  readonly directory: DirectoryService
  readonly publicKey: Uint8Array
  /** Peer ids of all that it knows. */
  known(): readonly string[]
}

export type MemberOptions = Partial<DirectoryServiceOptions> & { readonly skewMs?: number; readonly seed?: Uint8Array }

/** A clock that is wrong. */
export const skewed = (ms: number): Clock => ({ ...clock, wall: () => wallMillis(Date.now() + ms) })

/** A node on 127.0.0.1 with a directory over real gossip. */
export async function startMember(options: MemberOptions = {}): Promise<Member> {
  const { skewMs = 0, seed, ...changes } = options
  const node = await startTestHost(seed === undefined ? {} : { seed })
  const signer = createSigner(node.seed, network)
  const directory = new DirectoryService({
    libp2p: node.libp2p,
    host: node.host,
    gossip: gossipPort(node.libp2p),
    clock: skewMs === 0 ? clock : skewed(skewMs),
    timers,
    random,
    signer,
    verifier: createVerifier(network),
    network,
    log: (record) => node.logs.push(record),
    store: { load: async () => undefined, save: async () => undefined },
    describe: () => ({ role: 'relay', onionKey: sha256(signer.publicKey), family: [], levels: [1, 3, 5], bytesPerSecond: 1_048_576 }),
    isProtected: () => false,
    ...changes
  })
  await directory.start()
  const stop = async (): Promise<void> => {
    await directory.stop()
    await node[Symbol.asyncDispose]()
  }
  return {
    node,
    directory,
    publicKey: signer.publicKey,
    known: () => directory.all().map(({ descriptor }) => descriptor.addresses[0] ?? ''),
    [Symbol.asyncDispose]: stop
  }
}

/** Gossip of which the test is the network. */
export function heldGossip(): {
  readonly port: GossipPort
  readonly published: Uint8Array[]
  hear(from: string, data: Uint8Array, via?: string): GossipVerdict
} {
  let handler: (from: string, data: Uint8Array, via: string) => GossipVerdict = () => 'ignore'
  const published: Uint8Array[] = []
  return {
    published,
    port: {
      subscribe: (_topic, given) => void (handler = given),
      publish: async (_topic, data) => published.push(data)
    },
    hear: (from, data, via = from) => handler(from, data, via)
  }
}

/** Somebody whose keys the test has. */
export interface Stranger {
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly signer: Signer
  /** Its signed descriptor. */
  signed(changes?: Partial<OnionDescriptor>): Uint8Array
}

/** @param name - or the seed of the key */
export function stranger(name: string | Uint8Array, signedFor = network): Stranger {
  const seed = typeof name === 'string' ? sha256(new TextEncoder().encode(name)) : name
  const signer = createSigner(seed, signedFor)
  const { publicKey } = signer
  const signed = (changes: Partial<OnionDescriptor> = {}): Uint8Array => {
    const issuedAt = changes.issuedAt ?? wallMillis(Date.now())
    const descriptor: OnionDescriptor = {
      ...{ network: signedFor, publicKey, onionKey: sha256(publicKey), role: 'relay', addresses: ['/ip4/127.0.0.1/tcp/9000'], family: [] },
      ...{ levels: [3], ciphers: [1], bytesPerSecond: 1_000, sequence: issuedAt, issuedAt, expiresAt: wallMillis(issuedAt + 3_600_000) },
      ...changes
    }
    return encodeDescriptor(descriptor, signer)
  }
  return { peerId: peerIdOfKey(publicKey), publicKey, signer, signed }
}
