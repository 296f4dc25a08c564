import { type Bytes, MeshError, concat, equalBytes, isMeshError } from '../base/index.ts'
import type { SessionHandshake, SessionMessage } from './handshake.ts'
import {
  type Hello,
  type SessionRefusal,
  decodeHello,
  decodeRefusal,
  encodeHello,
  encodeRefusal,
  frameKinds,
  prologueOf,
  sessionRefusals,
  unwrapMessage,
  wrapMessage
} from './hello.ts'
import { type PeerIdentity, readIdentity, writeIdentity } from './identity.ts'
import { type FirstKeys, firstKeys } from './key-schedule.ts'
import type { InitiatorOptions, ResponderOptions } from './options.ts'
import { type Suite, suiteOf } from './suites.ts'

/** What the handshake gave. */
export interface Agreed {
  readonly suite: Suite
  readonly pqAuth: boolean
  readonly peer: PeerIdentity
  readonly keys: FirstKeys
  /** The handshake hash h. */
  readonly hash: Uint8Array
}

/** What follows from a frame of the handshake. */
export interface OpeningStep {
  readonly send: Bytes | undefined
  readonly agreed: Agreed | undefined
}

/** One side of the handshake: messages A, B and C. */
export interface Opening {
  /** The first frame; undefined for the responder. */
  start(): Bytes | undefined
  /** Takes the next frame. @throws {MeshError} whatever is wrong with it; the opening is over then */
  frame(frame: Uint8Array): OpeningStep
  /** The frame that tells the peer why it is refused; undefined for an error of which it is told nothing. */
  refusal(error: MeshError): Bytes | undefined
  wipe(): void
}

/** The side that opens. */
export class InitiatorOpening implements Opening {
  readonly #options: InitiatorOptions
  readonly #suite: Suite
  #handshake: SessionHandshake | undefined

  constructor(options: InitiatorOptions) {
    this.#options = options
    this.#suite = suiteOf(options.level)
  }

  start(): Bytes {
    const { crypto, createHandshake, levels, network, pqAuth, responder } = this.#options
    const ephemeral = { dh: crypto.generateDh(), kem: crypto.kem(this.#suite.level).generate() }
    const messageA = concat(ephemeral.dh.publicKey, ephemeral.kem.publicKey)
    const frame = encodeHello({ suite: this.#suite, pqAuth, offers: levels, network, messageA })
    const handshake = createHandshake({ suite: this.#suite, role: 'initiator', prologue: prologueOf(frame, responder), ephemeral })
    this.#handshake = handshake
    if (!equalBytes(handshake.writeMessage(nothing), messageA)) throw new MeshError('INTERNAL', { reason: 'message A is not what its frame says' })
    return frame
  }

  frame(frame: Uint8Array): OpeningStep {
    const handshake = this.#handshake
    if (handshake === undefined) throw new MeshError('INTERNAL', { reason: 'a session that was not started' })
    if (frame[0] === frameKinds.refusal) throw this.#refused(frame)
    const { payload, hash } = read(handshake, unwrapMessage(frameKinds.reply, frame))
    const { pqAuth, responderKey } = this.#options
    const peer = readIdentity(payload, { role: 'responder', hash, pqAuth, expected: responderKey }, this.#options)
    const message = handshake.writeMessage((own) => writeIdentity(this.#options, { role: 'initiator', hash: own, pqAuth }))
    const agreed = agree(handshake, { options: this.#options, suite: this.#suite, pqAuth, peer })
    return { send: wrapMessage(frameKinds.finish, message), agreed }
  }

  refusal(): undefined {
    return undefined
  }

  wipe(): void {
    this.#handshake?.wipe()
  }

  // It is not authenticated: it ends this session, and lowers nothing (rule Q3).
  #refused(frame: Uint8Array): MeshError {
    const { code, minimumLevel } = decodeRefusal(frame)
    const { level, network } = this.#options
    const details = {
      LEVEL_REFUSED: { level, minimum: minimumLevel },
      SESSION_AUTH_REFUSED: { reason: 'the peer asks for other signatures' },
      UNSUPPORTED_VERSION: { what: 'The session', version: 1 },
      NETWORK_MISMATCH: { what: 'The session', wanted: network }
    } as const satisfies Record<SessionRefusal, object>
    return new MeshError(code, details[code])
  }
}

/** The side that is called. */
export class ResponderOpening implements Opening {
  readonly #options: ResponderOptions
  #handshake: SessionHandshake | undefined
  #hello: Hello | undefined

  constructor(options: ResponderOptions) {
    this.#options = options
  }

  start(): undefined {
    return undefined
  }

  frame(frame: Uint8Array): OpeningStep {
    return this.#handshake === undefined || this.#hello === undefined ? this.#reply(frame) : this.#finish(frame, this.#handshake, this.#hello)
  }

  refusal({ code }: MeshError): Bytes | undefined {
    const known = sessionRefusals.find((refusal) => refusal === code)
    return known === undefined || this.#handshake !== undefined ? undefined : encodeRefusal({ code: known, minimumLevel: this.#options.minimumLevel })
  }

  wipe(): void {
    this.#handshake?.wipe()
  }

  #reply(frame: Uint8Array): OpeningStep {
    const hello = decodeHello(frame)
    this.#check(hello)
    const prologue = prologueOf(frame, this.#options.responder)
    const handshake = this.#options.createHandshake({ suite: hello.suite, role: 'responder', prologue, ephemeral: undefined })
    if (read(handshake, hello.messageA).payload.length > 0) throw new MeshError('HANDSHAKE_FAILED', { reason: 'a payload in message A' })
    const message = handshake.writeMessage((hash) => writeIdentity(this.#options, { role: 'responder', hash, pqAuth: hello.pqAuth }))
    this.#handshake = handshake
    this.#hello = { ...hello, messageA: nothing() }
    return { send: wrapMessage(frameKinds.reply, message), agreed: undefined }
  }

  // Before any key is touched.
  #check({ network, suite, pqAuth }: Hello): void {
    const { minimumLevel, levels, pq, requirePqAuth } = this.#options
    if (network !== this.#options.network)
      throw new MeshError('NETWORK_MISMATCH', { what: 'The session', wanted: network, own: this.#options.network })
    if (suite.level < minimumLevel || !levels.includes(suite.level))
      throw new MeshError('LEVEL_REFUSED', { level: suite.level, minimum: minimumLevel, by: 'this node' })
    if (pqAuth && pq?.identity === undefined) throw new MeshError('SESSION_AUTH_REFUSED', { reason: 'this node has no ML-DSA-65 identity' })
    if (!pqAuth && requirePqAuth) throw new MeshError('SESSION_AUTH_REFUSED', { reason: 'ML-DSA-65 is required' })
  }

  // oxlint-disable-next-line max-params -- the two are there by now
  #finish(frame: Uint8Array, handshake: SessionHandshake, { suite, pqAuth }: Hello): OpeningStep {
    const { payload, hash } = read(handshake, unwrapMessage(frameKinds.finish, frame))
    const expected = this.#options.initiatorKey
    const peer = readIdentity(payload, { role: 'initiator', hash, pqAuth, expected }, this.#options)
    return { send: undefined, agreed: agree(handshake, { options: this.#options, suite, pqAuth, peer }) }
  }
}

const nothing = (): Uint8Array => new Uint8Array(0)

/** Reads a handshake message; whatever it throws becomes a MeshError. */
function read(handshake: SessionHandshake, message: Uint8Array): SessionMessage {
  try {
    return handshake.readMessage(message)
  } catch (cause) {
    if (isMeshError(cause)) throw cause
    throw new MeshError('HANDSHAKE_FAILED', { reason: 'a message of the peer does not fit' }, { cause })
  }
}

interface Agreement {
  readonly options: InitiatorOptions | ResponderOptions
  readonly suite: Suite
  readonly pqAuth: boolean
  readonly peer: PeerIdentity
}

function agree(handshake: SessionHandshake, { options, suite, pqAuth, peer }: Agreement): Agreed {
  const hash = new Uint8Array(handshake.hash)
  const chainingKey = handshake.chainingKey
  const keys = firstKeys({ crypto: options.crypto, suite }, hash, chainingKey)
  chainingKey.fill(0)
  handshake.wipe()
  return { suite, pqAuth, peer, keys, hash }
}
