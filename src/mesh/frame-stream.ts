import type { MeshError, Pieces } from '../core/base/index.ts'
import type { ConnectionPath } from '../core/nat/index.ts'

/**
 * A libp2p stream that carries frames: a u32 big-endian length, then the bytes. One link writer batches what is sent into few
 * writes and respects back-pressure; the reader enforces the protocol's caps and deadlines (protocol-table.ts).
 */
export interface FrameStream {
  readonly peerId: string
  /** The peer's raw Ed25519 public key, 32 bytes, from the authenticated connection. */
  readonly publicKey: Uint8Array
  /** How the peer is reached. */
  readonly path: ConnectionPath
  /** Where the peer calls from or was dialled, without the port: an IP address or a name; behind a circuit relay, that of the relay. undefined when nobody knows. */
  readonly remoteHost?: string | undefined
  /** How many bytes it can carry at most, about; undefined when nobody counts. */
  readonly capacityBytes?: number | undefined
  /** The frames in order; returns when the peer closed. @throws {MeshError} PROTOCOL_LIMIT, MESSAGE_MALFORMED, TIMEOUT, PEER_UNREACHABLE */
  frames(): AsyncIterable<Uint8Array>
  /**
   * Queues a frame, whose bytes must stay as they are; resolves once the writer's queue is under its high-water mark, so that a caller who awaits never runs ahead.
   * @param onTaken - called at most once, when the bytes are the caller's again; never by a stream that goes on using them
   */
  send(frame: Pieces, onTaken?: () => void): Promise<void>
  /** Resolves when all that was queued was handed to the connection. */
  flush(): Promise<void>
  /** Flushes, then closes both directions. */
  close(): Promise<void>
  /** Resets at once. */
  abort(reason: MeshError): void
  /** Lets the node's bound on what is unread count what a layer above holds of this stream. */
  countHeld?(heldBytes: () => number): void
  /** Resolves when the stream has ended, however that was. */
  readonly closed: Promise<void>
}
