import { RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { circuitStatus, decodeHopAnswer, encodeHopReserve } from '../../src/core/nat/index.ts'

/** A peer that speaks the relay's protocol by hand: circuits end at it as bare streams, nothing is encrypted over them. */
export class RawPeer implements AsyncDisposable {
  readonly libp2p: Libp2p
  readonly peerId: string
  /** Circuits that were taken, oldest first. */
  readonly calls: Stream[] = []
  #connection: Connection | undefined

  private constructor(libp2p: Libp2p) {
    this.libp2p = libp2p
    this.peerId = libp2p.peerId.toString()
  }

  static async start(onCall: (stream: Stream) => void = () => undefined): Promise<RawPeer> {
    const libp2p = await createLibp2p({
      privateKey: await generateKeyPair('Ed25519'),
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false }
    })
    const peer = new RawPeer(libp2p)
    const take = async (stream: Stream): Promise<void> => {
      const frames = lpStream(stream)
      await frames.read()
      await frames.write(new Uint8Array([0x08, 1, 0x20, circuitStatus.ok]))
      peer.calls.push(frames.unwrap())
      onCall(stream)
    }
    await libp2p.handle(RELAY_V2_STOP_CODEC, (stream) => void take(stream).catch(() => undefined), { maxInboundStreams: 300 })
    return peer
  }

  /** Connects to a relay; later calls go there. */
  async connect(relay: string): Promise<Connection> {
    this.#connection = await this.libp2p.dial(multiaddr(relay))
    return this.#connection
  }

  /** Asks for a place; the status that the relay answers. */
  async reserve(): Promise<number | undefined> {
    const stream = await this.hop()
    const frames = lpStream(stream)
    await frames.write(encodeHopReserve())
    const { status } = decodeHopAnswer((await frames.read()).subarray())
    await stream.close()
    return status
  }

  /** Calls a peer that has a place; the circuit when the relay says OK. */
  async call(peerId: string): Promise<{ readonly status: number | undefined; readonly stream: Stream }> {
    const stream = await this.hop()
    const frames = lpStream(stream)
    const id = peerIdFromString(peerId).toMultihash().bytes
    await frames.write(new Uint8Array([0x08, 1, 0x12, id.length + 2, 0x0a, id.length, ...id]))
    const { status } = decodeHopAnswer((await frames.read()).subarray())
    return { status, stream: frames.unwrap() }
  }

  hop(): Promise<Stream> {
    return this.open(RELAY_V2_HOP_CODEC)
  }

  async open(protocol: string): Promise<Stream> {
    if (this.#connection === undefined) throw new Error('not connected')
    return this.#connection.newStream(protocol, { maxOutboundStreams: 1_000 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.libp2p.stop()
  }
}

/** Writes until the stream takes no more, `bytes` at most; how many it took. */
export function fill(stream: Stream, bytes: number): number {
  const chunk = new Uint8Array(16_384)
  let sent = 0
  while (sent < bytes && stream.status === 'open' && stream.writeStatus === 'writable') {
    sent += chunk.length
    if (!stream.send(chunk)) break
  }
  return sent
}
