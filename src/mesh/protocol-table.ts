/** The caps and deadlines of one protocol. Every one is registered through `protocol-host.ts`; raw `handle()` is banned by the linter. */
export interface ProtocolLimits {
  readonly id: string
  readonly maxFrameBytes: number
  /** Inbound streams of one peer at one time. */
  readonly maxInboundStreams: number
  /** Inbound streams of one peer in a second, with a burst of five times as many. */
  readonly streamsPerSecond: number
  /** Frames of one peer in a second, with a burst of five times as many. */
  readonly framesPerSecond: number
  readonly firstByteMs: number
  readonly frameMs: number
  /** No frame for so long ends the stream; 0 = never. */
  readonly idleMs: number
  /** A peer that takes none of what is written for so long loses the stream. */
  readonly writeMs: number
}

/** Every protocol of this software, in one table. libp2p's own (identify, ping, kad, gossipsub) are limited where the host is made. */
export const protocolTable = {
  pqs: {
    id: '/synaptic-mesh/pqs/1.0.0',
    maxFrameBytes: 65_535,
    maxInboundStreams: 4,
    streamsPerSecond: 10,
    // A record is a sixteenth of the largest message frame; the frames inside have a rate of their own.
    framesPerSecond: 20_000,
    firstByteMs: 5_000,
    frameMs: 10_000,
    idleMs: 0,
    writeMs: 60_000
  },
  card: {
    id: '/synaptic-mesh/card/1.0.0',
    maxFrameBytes: 16_384,
    maxInboundStreams: 4,
    streamsPerSecond: 20,
    framesPerSecond: 20,
    firstByteMs: 5_000,
    frameMs: 10_000,
    idleMs: 10_000,
    writeMs: 10_000
  },
  pair: {
    id: '/synaptic-mesh/pair/2.0.0',
    // A session of its own, whose handshake with ML-DSA-65 takes 9 KiB; the frames inside are smaller.
    maxFrameBytes: 16_384,
    maxInboundStreams: 2,
    streamsPerSecond: 5,
    framesPerSecond: 20,
    firstByteMs: 5_000,
    frameMs: 10_000,
    idleMs: 10_000,
    writeMs: 10_000
  },
  nat: {
    id: '/synaptic-mesh/nat/1.0.0',
    maxFrameBytes: 4_096,
    maxInboundStreams: 2,
    streamsPerSecond: 2,
    framesPerSecond: 4,
    firstByteMs: 5_000,
    frameMs: 10_000,
    // The answer to a dial takes some seconds, in which nothing comes from the requester.
    idleMs: 15_000,
    writeMs: 10_000
  },
  ice: {
    id: '/synaptic-mesh/ice/1.0.0',
    maxFrameBytes: 4_096,
    maxInboundStreams: 2,
    streamsPerSecond: 1,
    framesPerSecond: 20,
    firstByteMs: 5_000,
    frameMs: 5_000,
    idleMs: 10_000,
    writeMs: 10_000
  },
  // A frame is 1 to 63 cells of 1,024 bytes; circuits have limits of their own.
  onion: {
    id: '/synaptic-mesh/onion/1.0.0',
    maxFrameBytes: 64_512,
    maxInboundStreams: 2,
    streamsPerSecond: 2,
    framesPerSecond: 50_000,
    firstByteMs: 5_000,
    frameMs: 10_000,
    idleMs: 0,
    writeMs: 30_000
  },
  onionDirectory: {
    id: '/synaptic-mesh/onion-directory/1.0.0',
    maxFrameBytes: 65_536,
    maxInboundStreams: 2,
    streamsPerSecond: 2,
    framesPerSecond: 40,
    firstByteMs: 5_000,
    frameMs: 10_000,
    idleMs: 10_000,
    writeMs: 10_000
  }
} as const satisfies Record<string, ProtocolLimits>

/** What holds for frames inside of a session. */
export interface FrameLimits {
  readonly id: string
  readonly maxFrameBytes: number
  /** Of one peer over all its sessions, with a burst of five times as many. */
  readonly framesPerSecond: number
  readonly frameMs: number
}

/** The frames of messages: they travel inside of `pqs` only, never on a stream of their own. */
export const messageFrames: FrameLimits = {
  id: '/synaptic-mesh/message/1.0.0',
  maxFrameBytes: 1_114_112,
  framesPerSecond: 2_000,
  frameMs: 10_000
}

/** The frames of a pairing: they travel inside of a session over `pair`. */
export const pairingFrames: FrameLimits = {
  id: 'pairing',
  maxFrameBytes: 4_096,
  framesPerSecond: 20,
  frameMs: 10_000
}

export type ProtocolName = keyof typeof protocolTable

/** Other limits than those of the tables, for tests. */
export type LimitChanges = Partial<Record<ProtocolName, Partial<ProtocolLimits>>> & {
  readonly message?: Partial<FrameLimits>
  readonly pairing?: Partial<FrameLimits>
}
