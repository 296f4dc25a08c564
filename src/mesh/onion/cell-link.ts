import type { MeshError } from '../../core/base/index.ts'
import type { Cell } from '../../core/onion/index.ts'

/** Who is at the other end of a link that a peer opened, or whom we opened it to. */
export type LinkPeer =
  /** It proved this identity key. Any key proves itself: whether it is one of a known relay is for the directory to say. */
  | { readonly kind: 'relay'; readonly publicKey: Uint8Array; readonly prefix: string }
  /** It proved nothing. `prefix` is the network that it calls from, such as `203.0.113.0/24` or `2001:db8:1::/48`, or of the circuit relay that it came over. */
  | { readonly kind: 'client'; readonly prefix: string }

/** One link: a connection of its own that carries cells and nothing else. */
export interface CellLink {
  /** Never used twice in one process. */
  readonly id: number
  /** Circuits are opened by the link's opener only. */
  readonly opener: 'us' | 'peer'
  readonly peer: LinkPeer
  /** Says that `take` of the handler has cells: it is called soon, once for any number of wakes. Cheap. */
  wake(): void
  /** Ends the link, at once with a reason, otherwise when what was taken is written. `ended` of the handler follows. */
  close(reason?: MeshError): void
}

/** What a link wants of its user. */
export interface LinkHandler {
  /**
   * The next cells to send, at most `max` (1–63); none: the link asks again after a `wake`. Called only when the link can send. The bodies
   * are of no use to the link once this returned and the next call was made: it copies them at once.
   */
  take(max: number): readonly Cell[]
  /**
   * The cells of one frame, in order. LINK cells come along, those that prove an identity excepted. PADDING and questions whether this end is there are left out, and
   * `ignored` says how many of them: they cost their rate as others do. While the promise is pending nothing more is read. Throwing ends the link.
   * The bodies are the handler's, to overwrite as well; they lie in one block of memory of up to 64,512 bytes, which one of them keeps.
   */
  receive(cells: readonly Cell[], ignored?: number): void | Promise<void>
  /** Once, last; without an error when the other end closed or nothing ran over the link for long. Nothing is taken or received afterwards. */
  ended(error: MeshError | undefined): void
  /** How many circuits run over the link: without any it is closed after 15 minutes. */
  readonly circuits: number
}

/** Makes the handler of a new link; called before any of its cells. Throwing refuses the link. */
export type MakeHandler = (link: CellLink) => LinkHandler

/** Where a link shall go. */
export interface LinkTarget {
  /** `client`: from an ephemeral key of this guard and day, proving nothing. `relay`: from the one of all our links between relays, proving our identity. */
  readonly as: 'client' | 'relay'
  /** The identity key of the relay or endpoint that is called, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Multiaddrs, with or without /p2p. */
  readonly addresses: readonly string[]
  readonly make: MakeHandler
  readonly signal?: AbortSignal
}

/** All links of a node. */
export interface CellLinkPort {
  /** Takes links of others from now on. Once. */
  serve(accept: MakeHandler): Promise<void>
  /**
   * The open link to that key in that role (then `make` is not called), or a new one.
   * @throws {MeshError} PEER_UNREACHABLE, IDENTITY_MISMATCH, DOWNGRADE_DETECTED, ABORTED, SHUTTING_DOWN
   */
  open(target: LinkTarget): Promise<CellLink>
  /** Whether a peer id of a connected peer is an ephemeral one, of a link that was opened to this node: no peer of the mesh. */
  isLinkPeer(peerId: string): boolean
  stop(): Promise<void>
}
