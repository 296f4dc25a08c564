import type { KemLevel } from '../base/index.ts'

/** Sizes in bytes of a cell and its parts; see docs/wire/onion.md. */
export const cellSizes = {
  cell: 1_024,
  /** u32 circuit ‖ u8 command ‖ 3 zero bytes. */
  header: 8,
  body: 1_016,
  /** Leading zero bytes by which the end of a layer knows that a cell is its own. */
  recognised: 16,
  /** What a RELAY cell carries: the body without the recognised bytes. */
  plain: 1_000,
  /** The client's and the relay's half of a handshake, padded to one size for every level of ML-KEM: two cells each. */
  create: 1_900,
  created: 1_700
} as const

/** What a cell is for. Everything that belongs to a circuit beyond its first hop travels in RELAY and RELAY_EARLY. */
export const cellCommands = { padding: 0, create: 1, created: 2, relay: 3, relayEarly: 4, destroy: 5, link: 6 } as const
export type CellCommand = (typeof cellCommands)[keyof typeof cellCommands]

/** One cell. Bodies are 1,016 bytes, and change hands with the cell: who gets one may overwrite it. */
export interface Cell {
  /** u32, chosen by the opener of the link at random, not 0; 0 = the link itself (PADDING, LINK). */
  readonly circuit: number
  readonly command: CellCommand
  readonly body: Uint8Array
  /** Whether the 8 bytes before the body, in the same memory, are the place of its header: a frame can be made where its cells lie. */
  readonly hasRoom?: boolean | undefined
}

/** RELAY_EARLY cells that one circuit may send forward. */
export const maxRelayEarly = 16

/** The most relays of a circuit, the destination not counted. */
export const maxHops = 8

/** A member of a circuit, as its maker knows it: from its verified descriptor. */
export interface HopTarget {
  /** Its 32-byte Ed25519 identity key, from which its peer id follows. */
  readonly publicKey: Uint8Array
  /** Its 32-byte X25519 onion key of now. */
  readonly onionKey: Uint8Array
}

/** The keys of one hop for one direction, from the handshake. */
export interface DirectionKeys {
  /** K1 ‖ K2 ‖ K3 ‖ K4, 32 bytes each. */
  readonly keys: Uint8Array
  /** c_0, 32 bytes. */
  readonly chain: Uint8Array
}

/** What a handshake gives to both sides. */
export interface LayerKeys {
  readonly forward: DirectionKeys
  readonly backward: DirectionKeys
  /** 32 bytes that name this hop of this circuit to both of its ends alone. */
  readonly binding: Uint8Array
}

/** The chained wide-block cipher of one hop for one direction. Each call takes the next cell of that direction: order is all that counts. */
export interface CellLayer {
  /** What relays do to the cells of others, in both directions: encrypts the 1,016-byte body in place, and moves the chain on. */
  encrypt(command: CellCommand, body: Uint8Array): void
  /**
   * What the end of a layer does, instead of `encrypt`, to a backward cell of its own, which begins with 16 zero bytes: they become the mark of the cell,
   * which both ends of the layer alone know. A cell that is passed on with zero bytes is not taken for its own.
   */
  originate(command: CellCommand, body: Uint8Array): void
  /** What clients do: undoes `encrypt` and `originate` in place. A body of the layer's other end begins with 16 zero bytes then. */
  decrypt(command: CellCommand, body: Uint8Array): void
  /** 16 bytes from the chain as it is after the last cell: proof for whoever knows it that the cells up to there arrived. */
  tag(): Uint8Array
  /** Forgets the keys; the layer is of no use afterwards. */
  wipe(): void
}

/** An implementation of the cell cipher. A platform gives it; `nobleCells` is the one without native code. */
export interface CellCipher {
  /** Copies the keys: the caller wipes its own. */
  layer(keys: DirectionKeys): CellLayer
}

/** The client's half of a handshake that is under way. */
export interface ClientHandshake {
  /** `cellSizes.create` bytes for the relay. */
  readonly request: Uint8Array
  /** Takes the relay's `cellSizes.created` bytes. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED */
  finish(reply: Uint8Array): LayerKeys
  /** Forgets its secrets when no answer comes. */
  abandon(): void
}

/** The relay's half. */
export interface RelayHandshake {
  readonly reply: Uint8Array
  readonly keys: LayerKeys
  readonly level: KemLevel
}

/** What circuits are made with: the handshake and the cipher, from the platform. */
export interface OnionCrypto {
  readonly cipher: CellCipher
  /** Begins a handshake with a hop. @throws {MeshError} when the onion key is no point */
  begin(target: HopTarget, level: KemLevel): ClientHandshake
  /** Answers a client's request with our own onion keys. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED (also for a request that was seen before) */
  answer(request: Uint8Array): RelayHandshake
}

/** Why a circuit ended, as far as anybody is told: clients say `none`, relays `destroyed` and nothing else, so that reasons leak nothing. */
export const destroyReasons = { none: 0, destroyed: 1 } as const

/** The messages inside of RELAY cells, after the layers are off; see docs/wire/onion.md. */
export const relayCommands = {
  /** Fills cells; taken and forgotten. */
  drop: 1,
  /** 32-byte identity key ‖ `create` bytes: make the circuit one hop longer. In RELAY_EARLY only. */
  extend: 2,
  /** `created` bytes of the new hop. */
  extended: 3,
  /** u8 reason: the next hop was not reached, or refused. The circuit ends. */
  extendFailed: 4,
  /** 16-byte tag: 32 more cells of that direction arrived. */
  sendme: 5,
  /** 8 bytes, given back by `pong`. */
  ping: 6,
  pong: 7,
  /** u16 stream ‖ UTF-8 name of the protocol. */
  begin: 16,
  /** u16 stream. */
  connected: 17,
  /** u16 stream ‖ bytes. */
  data: 18,
  /** u16 stream ‖ u8 reason: nothing more comes from this side (0), or the stream is broken off. */
  end: 19,
  /** u16 stream: stop sending data of it; go on. */
  xoff: 20,
  xon: 21
} as const
export type RelayCommand = (typeof relayCommands)[keyof typeof relayCommands]

/** Why EXTEND failed, in `extendFailed`. */
export const extendFailures = { unknown: 1, unreachable: 2, refused: 3, timeout: 4 } as const
export type ExtendFailure = keyof typeof extendFailures

/** Flow control of a circuit, each direction and each pair of ends for itself. */
export const circuitWindow = { cells: 256, sendmeEvery: 32 } as const
