import type { CandidatePair, DtlsRole, IceCandidate, IceCredentials, TurnCredentials } from '../../core/nat/index.ts'

/** A STUN or TURN server, asked over UDP. */
export interface IceServer {
  readonly host: string
  readonly port: number
}

export type TurnServer = IceServer & TurnCredentials

/** What an agent tells, in order; nothing after `failed`, nor after `close()`. */
export type IceAgentEvent =
  | { readonly type: 'credentials'; readonly credentials: IceCredentials }
  | { readonly type: 'candidate'; readonly candidate: IceCandidate }
  | { readonly type: 'gathered' }
  | { readonly type: 'open'; readonly channel: IceChannel }
  /** ICE goes on for a moment after a first way was found; now it has chosen. */
  | { readonly type: 'settled' }
  /** No pair of addresses works, or the other side ended it. */
  | { readonly type: 'failed' }

export interface IceAgentOptions {
  /** At most one is asked. */
  readonly stun: IceServer | undefined
  readonly turn: readonly TurnServer[]
  /** Whether nothing but the TURN servers is used: no packet goes elsewhere. */
  readonly isRelayOnly: boolean
  /** The address of the one interface to use; undefined = all but loopback. */
  readonly bindAddress: string | undefined
  /** What the peer offered; undefined for the side that offers. */
  readonly offer: IceCredentials | undefined
  /** For the side that answers: the part that it takes in the DTLS handshake. */
  readonly dtls: DtlsRole
  readonly onEvent: (event: IceAgentEvent) => void
}

/** One run of ICE, with DTLS and one data channel over what it finds. */
export interface IceAgent {
  /** What the peer answered, and its part in the DTLS handshake. */
  answer(credentials: IceCredentials, dtls: DtlsRole): void
  check(candidate: IceCandidate): void
  /** The pair in use; undefined before there is one and after the end. */
  pair(): CandidatePair | undefined
  /** Ends everything at once; what was sent last may be lost. */
  close(): void
}

export interface ChannelEvents {
  readonly onMessage: (bytes: Uint8Array) => void
  /** It holds less than `lowWaterBytes` again. */
  readonly onDrain: () => void
  /** The other side has closed it, or the network did; never after our own close. */
  readonly onClosed: () => void
}

/** A reliable, ordered data channel that is open. */
export interface IceChannel {
  /** Bytes that wait for the network. */
  readonly heldBytes: number
  /** From now on; what came before is given at once. */
  listen(events: ChannelEvents): void
  /** At most `maxChannelMessageBytes`; they are copied. @throws Error when it is closed */
  send(bytes: Uint8Array): void
  /** Resolves when the other side has everything and has closed, or with the signal. */
  close(signal: AbortSignal): Promise<void>
  /** Closes at once. */
  reset(): void
}

/** What a TURN server answers to a request for an address. */
export type TurnVerdict = { readonly result: 'allocated' | 'silent' | 'refused' | 'unresolved'; readonly reason: string }

/** ICE of the platform. */
export interface IcePort {
  /** Why there is none, once `load` was called; undefined when it can be used. */
  readonly unavailable: string | undefined
  /** Loads what it needs, once. @throws {MeshError} ICE_UNAVAILABLE */
  load(): Promise<void>
  /** To be called after `load`. @throws {MeshError} ICE_UNAVAILABLE, SHUTTING_DOWN */
  createAgent(options: IceAgentOptions): IceAgent
  /** Asks a TURN server itself: the library does not tell why it got no address. Takes 2 s at most. */
  probeTurn(server: TurnServer, signal: AbortSignal): Promise<TurnVerdict>
}
