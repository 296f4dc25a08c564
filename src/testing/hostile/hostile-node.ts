import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { createSigner, systemRandom } from '../../crypto/index.ts'
import type { Signer } from '../../core/base/index.ts'

/** How a stream ended for the attacker. */
export type StreamEnd = 'reset' | 'closed' | 'open'

/** A libp2p node without any of this software's manners: it opens what it likes, sends what it likes, and reads when it likes. */
export class HostileNode implements AsyncDisposable {
  readonly libp2p: Libp2p
  readonly signer: Signer
  readonly publicKey: Uint8Array
  readonly network: string

  private constructor(libp2p: Libp2p, signer: Signer, network: string) {
    this.libp2p = libp2p
    this.signer = signer
    this.publicKey = signer.publicKey
    this.network = network
  }

  static async start(network: string): Promise<HostileNode> {
    const seed = systemRandom.bytes(32)
    const libp2p = await createLibp2p({
      privateKey: await generateKeyPairFromSeed('Ed25519', seed),
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ maxOutboundStreams: 100_000, maxInboundStreams: 100_000 })],
      connectionMonitor: { enabled: false },
      services: { identify: identify({ protocolPrefix: 'synaptic-mesh' }) }
    })
    return new HostileNode(libp2p, createSigner(seed, network), network)
  }

  /** A connection of its own for each call, whatever is open already. */
  connect(addresses: readonly string[]): Promise<Connection> {
    const targets: Multiaddr[] = addresses.map((address) => multiaddr(address))
    return this.libp2p.dial(targets, { force: true, signal: AbortSignal.timeout(20_000) })
  }

  open(connection: Connection, protocol: string, signal: AbortSignal = AbortSignal.timeout(20_000)): Promise<Stream> {
    return connection.newStream(protocol, { signal, maxOutboundStreams: 100_000 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.libp2p.stop()
  }
}

/** How the stream ended, or 'open' when it did not within `timeoutMs`. */
export function endOf(stream: Stream, timeoutMs: number): Promise<StreamEnd> {
  const endNow = (): StreamEnd | undefined =>
    stream.status === 'open' || stream.status === 'closing' ? undefined : stream.status === 'closed' ? 'closed' : 'reset'
  return new Promise((resolve) => {
    const now = endNow()
    if (now !== undefined) return resolve(now)
    const timer = setTimeout(() => resolve(stream.remoteWriteStatus === 'closed' ? 'closed' : 'open'), timeoutMs)
    stream.addEventListener('close', (event) => {
      clearTimeout(timer)
      resolve(event.error === undefined ? 'closed' : 'reset')
    })
  })
}

/** The frame of this software around `bytes`; another length when it shall lie. */
export function frame(bytes: Uint8Array, length: number = bytes.length): Uint8Array {
  const whole = new Uint8Array(4 + bytes.length)
  new DataView(whole.buffer).setUint32(0, length)
  whole.set(bytes, 4)
  return whole
}

/** Sends if the stream still takes it; a stream that was reset meanwhile is the answer the attacker gets. */
export function push(stream: Stream, bytes: Uint8Array): boolean {
  try {
    return stream.send(bytes)
  } catch {
    return false
  }
}
