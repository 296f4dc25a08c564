import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Stream, StreamMuxer, StreamMuxerFactory, Transport, Upgrader } from '@libp2p/interface'
import { equalBytes, MeshError } from '../core/base/index.ts'
import { guardLengths, oneCircuitFrame } from './length-guard.ts'

// multistream-select waits for the answer before the first byte of a protocol: a round trip for each stream, and one for the encryption of a connection. Over
// a relay that is far away these add up to a second. Where the answer is known it is not waited for: what comes first from the peer must be that answer.

type Bytes = Parameters<Stream['push']>[0]

/** What libp2p's byte pipes have besides what their interface names: the place where bytes from the peer come in. */
interface Inlet {
  onData(data: Bytes): void
}

type Pipe = Pick<Stream, 'abort' | 'send'>

const hasInlet = (pipe: object): pipe is Inlet => 'onData' in pipe && typeof pipe.onData === 'function'

/**
 * The circuit protocols of relays, and ours: all but identify, for which nobody waits, the DHT and gossip, whose ids name the network, and ping: libp2p ends a
 * connection whose ping fails otherwise than by a peer that says it does not speak it, such as a relay of other software. Our own pings say that they are sure.
 */
const surePattern = /^(\/libp2p\/circuit\/relay\/0\.2\.0\/(hop|stop)|\/synaptic-mesh\/(?!(?:id|ping)\/)[a-z]+\/\d+\.\d+\.\d+)$/

/** `negotiateFully: false` is libp2p's word for a caller that is sure. */
const isSure = (protocol: string, options: object = {}): boolean =>
  surePattern.test(protocol) || ('negotiateFully' in options && options.negotiateFully === false)

/** The header of multistream-select and one protocol, each with its length: the question, and word for word the answer that agrees. */
function offer(protocol: string): Uint8Array {
  const lines = ['/multistream/1.0.0\n', `${protocol}\n`].map((line) => Buffer.from(line))
  return Buffer.concat(lines.flatMap((line) => [lengthPrefix(line.length), line]))
}

/** An unsigned varint; protocol ids have at most 1,024 characters. */
const lengthPrefix = (length: number): Buffer => Buffer.from(length < 128 ? [length] : [(length & 127) | 128, length >> 7])

/** Takes the expected answer out of what comes, and calls back then; anything else ends the pipe. */
function swallow(pipe: Pipe & Inlet, protocol: string, onAnswer: () => void): void {
  const answer = offer(protocol)
  const take = pipe.onData.bind(pipe)
  let seen = 0
  pipe.onData = (data) => {
    const bytes = data.subarray()
    const length = Math.min(bytes.length, answer.length - seen)
    if (!equalBytes(bytes.subarray(0, length), answer.subarray(seen, seen + length))) {
      pipe.abort(new MeshError('PEER_UNREACHABLE', { reason: `it does not speak ${protocol}` }))
      return
    }
    seen += length
    if (seen < answer.length) return
    pipe.onData = take
    take(bytes.subarray(length))
    onAnswer()
  }
}

/** A muxer whose streams are of use at once, where the peer is sure to speak the protocol; otherwise they end with the first read. */
export function eagerStreams<Components>(create: (components: Components) => StreamMuxerFactory): (components: Components) => StreamMuxerFactory {
  return (components) => {
    const factory = create(components)
    const { protocol } = factory
    return { protocol, createStreamMuxer: (pipe) => withEagerStreams(factory.createStreamMuxer(pipe)) }
  }
}

function withEagerStreams(muxer: StreamMuxer): StreamMuxer {
  const create = muxer.createStream.bind(muxer)
  muxer.createStream = async (options) => {
    const stream = await create(options)
    const protocol = options?.protocol
    if (protocol === undefined || !isSure(protocol, options) || !hasInlet(stream)) return stream
    options?.signal?.throwIfAborted()
    if (protocol === RELAY_V2_HOP_CODEC) guardLengths(stream, oneCircuitFrame)
    const answered = Promise.withResolvers<void>()
    swallow(stream, protocol, answered.resolve)
    stream.addEventListener('close', () => answered.resolve(), { once: true })
    // A libp2p that gets all of a stream before it has answered throws it away.
    const close = stream.close.bind(stream)
    stream.close = async (how) => {
      await (how?.signal === undefined ? answered.promise : Promise.race([answered.promise, aborted(how.signal)]))
      await close(how)
    }
    stream.send(offer(protocol))
    // libp2p negotiates the protocol of a stream that has none.
    stream.protocol = protocol
    return stream
  }
  return muxer
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** How many peers are remembered that do not speak our best encryption. */
const maxOthers = 1_024

/**
 * The components of a transport, with an upgrader that takes it for sure that a peer who is dialled speaks our best encryption; after a failure it asks.
 * @param isOurs - whether a peer's software may be taken for ours; default: everybody's
 */
export function withEagerUpgrader<Components extends { readonly upgrader: Upgrader }>(
  components: Components,
  isOurs: (peerId: string) => boolean = () => true
): Components {
  const { upgrader } = components
  const others = new Set<string>()
  const upgradeOutbound: Upgrader['upgradeOutbound'] = async (pipe, options) => {
    const peer = pipe.remoteAddr.getComponents().findLast(({ name }) => name === 'p2p')?.value
    const [best] = upgrader.getConnectionEncrypters().keys()
    if (peer === undefined || best === undefined || others.has(peer) || !isOurs(peer) || !hasInlet(pipe))
      return upgrader.upgradeOutbound(pipe, options)
    pipe.onData(offer(best))
    swallow(pipe, best, () => undefined)
    try {
      return await upgrader.upgradeOutbound(pipe, options)
    } catch (error) {
      if (others.size >= maxOthers) others.clear()
      if (options.signal?.aborted !== true) others.add(peer)
      throw error
    }
  }
  const eager: Upgrader = {
    upgradeOutbound,
    upgradeInbound: (pipe, options) => upgrader.upgradeInbound(pipe, options),
    createInboundAbortSignal: (signal) => upgrader.createInboundAbortSignal(signal),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    getStreamMuxers: () => upgrader.getStreamMuxers()
  }
  // Components are a proxy of libp2p's, which must not be copied.
  return Object.create(components, { upgrader: { value: eager } })
}

/** A transport whose connections have such an upgrader: transports of libp2p use the one that comes with each dial. */
export function eagerDials<Components>(
  create: (components: Components) => Transport,
  isOurs: (peerId: string) => boolean
): (components: Components & { readonly upgrader: Upgrader }) => Transport {
  return (components) => {
    const transport = create(components)
    const { upgrader } = withEagerUpgrader(components, isOurs)
    const dial = transport.dial.bind(transport)
    transport.dial = (address, options) => dial(address, { ...options, upgrader })
    return transport
  }
}
