import type { FrameStream } from './frame-stream.ts'

/**
 * Streams of protocol `pqs` over onion circuits, for sessions. mesh/onion gives them; a node that has none sends nothing over circuits.
 *
 * A stream to a destination names it: `peerId` and `publicKey` are the destination's. One that arrived names nobody (`nobodysKey`, any text as `peerId`):
 * who is at the other end is what the session inside proves. `path` is 'onion'.
 */
export interface OnionStreams {
  /**
   * A new stream to a peer over a circuit whose last hop it is, never over a direct connection.
   * @throws {MeshError} CIRCUIT_TOO_FEW_RELAYS, CIRCUIT_NO_ENDPOINT, CIRCUIT_GUARDS_FAILED, CIRCUIT_BUILD_TIMEOUT, CIRCUIT_EXTEND_REFUSED … and ABORTED
   */
  open(publicKey: Uint8Array, signal: AbortSignal): Promise<FrameStream>
  /**
   * Whether there is a way to a peer now, judged without using one. May wait some seconds, but not beyond `signal`, while the node has just started and its
   * directory is still coming. @throws {MeshError} CIRCUIT_TOO_FEW_RELAYS, CIRCUIT_NO_ENDPOINT, CIRCUIT_GUARDS_FAILED
   */
  check(publicKey: Uint8Array, signal?: AbortSignal): Promise<void>
  /** Hands over the streams that others open to this node, each once; the stream is ended when the handler's promise settles, by us when it rejects. */
  serve(handler: (stream: FrameStream) => Promise<void>): Promise<void>
}

/** The key of an inbound stream of which nobody knows whose it is: no key of Ed25519 that anybody holds. */
export const nobodysKey: Uint8Array = new Uint8Array(32)
