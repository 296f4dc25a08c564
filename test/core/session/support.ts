import assert from 'node:assert/strict'
import { type ErrorCode, type KemLevel, type MeshError, type Millis, concat, millis } from '../../../src/core/base/index.ts'
import { NoiseHandshake, hybridSuite } from '../../../src/core/noise/index.ts'
import {
  type CreateHandshake,
  type InitiatorOptions,
  type ResponderOptions,
  type SessionFacts,
  SessionMachine,
  type SessionOutput,
  type SessionTools,
  defaultRekeyPolicy
} from '../../../src/core/session/index.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'
import { createSigner, createVerifier } from '../../../src/crypto/index.ts'

export const network = 'test'
export const crypto = nodeHandshakeCrypto
const verifier = createVerifier(network)
const seedOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
export const signers = { alice: createSigner(seedOf(1), network), bob: createSigner(seedOf(2), network), mallory: createSigner(seedOf(3), network) }
export const addresses = { bob: '12D3KooWBob', mallory: '12D3KooWMallory' }

const staticKey = crypto.generateDh()
export const createHandshake: CreateHandshake = ({ suite, role, prologue, ephemeral }) =>
  new NoiseHandshake({ suite: hybridSuite(suite.level), role, crypto, staticKey, prologue, ephemeral })

const tools = (signer: SessionTools['signer']): SessionTools => ({
  network,
  signer,
  verifier,
  levels: [1, 3, 5],
  pq: undefined,
  crypto,
  createHandshake,
  rekey: defaultRekeyPolicy,
  handshakeMs: 5_000
})

/** Alice calls Bob. */
export const aliceOptions = (changes: Partial<InitiatorOptions> = {}): InitiatorOptions => ({
  ...tools(signers.alice),
  role: 'initiator',
  level: 1,
  pqAuth: false,
  responder: addresses.bob,
  responderKey: signers.bob.publicKey,
  ...changes
})

/** Bob, called by Alice. */
export const bobOptions = (changes: Partial<ResponderOptions> = {}): ResponderOptions => ({
  ...tools(signers.bob),
  role: 'responder',
  minimumLevel: 1,
  requirePqAuth: false,
  responder: addresses.bob,
  initiatorKey: signers.alice.publicKey,
  ...changes
})

/** One end under test: what the machine put out, by kind. */
export class End {
  readonly machine: SessionMachine
  /** Frames on their way to the other end. */
  frames: Uint8Array[] = []
  /** Every frame that it ever sent. */
  readonly sent: Uint8Array[] = []
  readonly data: Uint8Array[] = []
  readonly epochs: number[] = []
  facts: SessionFacts | undefined
  words: readonly string[] | undefined
  error: MeshError | undefined
  peerEnded = false

  constructor(options: InitiatorOptions | ResponderOptions) {
    this.machine = new SessionMachine(options)
  }

  input(input: Parameters<SessionMachine['handle']>[0], now: Millis = millis(0)): this {
    for (const output of this.machine.handle(input, now)) this.#take(output)
    return this
  }

  start(now: Millis = millis(0)): this {
    return this.input({ type: 'start' }, now)
  }

  /** Takes frames in turn. */
  receive(frames: readonly Uint8Array[], now: Millis = millis(0)): this {
    for (const frame of frames) this.input({ type: 'frame', frame: frame.slice() }, now)
    return this
  }

  say(text: string, now: Millis = millis(0)): this {
    return this.input({ type: 'send', data: new TextEncoder().encode(text) }, now)
  }

  /** What was delivered, as text. */
  get heard(): readonly string[] {
    return this.data.map((bytes) => new TextDecoder().decode(bytes))
  }

  /** The frames that wait to be carried. */
  take(): readonly Uint8Array[] {
    const { frames } = this
    this.frames = []
    return frames
  }

  fails(code: ErrorCode): void {
    assert.equal(this.error?.code, code, `${this.error?.message}`)
  }

  #send(frame: Uint8Array): void {
    this.frames.push(frame)
    this.sent.push(frame)
  }

  #take(output: SessionOutput): void {
    assert.equal(this.error, undefined, 'something came after the end')
    switch (output.type) {
      case 'send':
        this.#send(concat(...[output.frame].flat()))
        return
      case 'data':
        this.data.push(new Uint8Array(output.data))
        return
      case 'established':
        this.facts = output.facts
        return
      case 'words':
        this.words = output.words
        return
      case 'rekeyed':
        this.epochs.push(output.epoch)
        return
      case 'peer-ended':
        this.peerEnded = true
        return
      case 'failed':
        this.error = output.error
        return
      default:
        output satisfies never
    }
  }
}

/** Carries frames both ways until none is left. */
export function settle(a: End, b: End, now: Millis = millis(0)): void {
  while (a.frames.length > 0 || b.frames.length > 0) {
    b.receive(a.take(), now)
    a.receive(b.take(), now)
  }
}

/** Two ends with an open session. */
export function openPair(changes: { readonly alice?: Partial<InitiatorOptions>; readonly bob?: Partial<ResponderOptions> } = {}): {
  readonly alice: End
  readonly bob: End
} {
  const alice = new End(aliceOptions(changes.alice)).start()
  const bob = new End(bobOptions(changes.bob)).start()
  settle(alice, bob)
  assert.equal(alice.error, undefined, `${alice.error?.message}`)
  assert.equal(bob.error, undefined, `${bob.error?.message}`)
  return { alice, bob }
}

export const levels: readonly KemLevel[] = [1, 3, 5]
