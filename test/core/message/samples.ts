import { randomBytes } from 'node:crypto'
import { millis, type Random, type Signer, wallMillis } from '../../../src/core/base/index.ts'
import {
  encodeEnvelope,
  type Envelope,
  type Instant,
  type MessageDraft,
  type Receipt,
  sealBatch,
  type VolatileMessage
} from '../../../src/core/message/index.ts'
import { nativeSha256, SimulatedSigner, simulatedVerifier } from '../../../src/testing/simulated-keys.ts'

export const tools = { sha256: nativeSha256, verifier: simulatedVerifier }
export const alice: Signer = new SimulatedSigner(new Uint8Array(32).fill(0xa1))
export const bob: Signer = new SimulatedSigner(new Uint8Array(32).fill(0xb0))
export const carol: Signer = new SimulatedSigner(new Uint8Array(32).fill(0xca))
export const epoch = Uint8Array.from({ length: 16 }, (_, index) => index)
export const systemRandom: Random = { bytes: (length) => randomBytes(length) }

export const instant = (monotonic: number, change: Partial<Instant> = {}): Instant => ({
  bootId: 'boot-1',
  monotonic: millis(monotonic),
  wall: wallMillis(1_760_000_000_000 + monotonic),
  ...change
})

/** An envelope from alice to bob. */
export const envelope = (change: Partial<Envelope> = {}): Envelope => ({
  version: 1,
  id: '01JD8XABCDEFGHJKMNPQRSTVWX',
  type: 'Thought',
  source: { kind: 'peer', key: alice.publicKey, label: '' },
  destination: { kind: 'peer', key: bob.publicKey, label: 'agent-001' },
  epoch,
  sequence: 7,
  inReplyTo: undefined,
  expectsReply: false,
  priority: 5,
  ttlS: 86_400,
  timestamp: wallMillis(1_760_000_000_000),
  contentType: 'text/plain; charset=utf-8',
  body: new TextEncoder().encode('Processing sensory data'),
  ...change
})

export const draft = (change: Partial<MessageDraft> = {}): MessageDraft => ({
  id: 'm-1',
  type: 'Thought',
  destination: { kind: 'peer', key: bob.publicKey, label: '' },
  via: 'direct',
  label: '',
  inReplyTo: undefined,
  expectsReply: false,
  priority: 5,
  ttlS: 3_600,
  contentType: 'text/plain; charset=utf-8',
  body: new TextEncoder().encode('hello'),
  ...change
})

/** A BATCH frame from alice to bob. */
export function batchFrame(
  envelopes: readonly Uint8Array[],
  change: { readonly floor?: number; readonly sentAt?: number; readonly signer?: Signer; readonly destination?: Uint8Array } = {}
): Uint8Array {
  const { floor = 1, sentAt = 1_760_000_000_500, signer = alice, destination = bob.publicKey } = change
  return sealBatch(
    { header: { destination, epoch, sentAt: wallMillis(sentAt), floor }, envelopes },
    { signer, random: systemRandom, sha256: tools.sha256 }
  )
}

export const batchOf = (...sequences: readonly number[]): Uint8Array =>
  batchFrame(sequences.map((sequence) => encodeEnvelope(envelope({ sequence, id: `m-${sequence}` }))))

export const receipt = (change: { readonly id?: string; readonly sequence?: number } = {}): Receipt => ({
  id: 'm-1',
  digest: new Uint8Array(32).fill(3),
  epoch,
  sequence: 1,
  state: 'stored',
  code: undefined,
  ...change
})

export const volatileMessage = (change: Partial<VolatileMessage> = {}): VolatileMessage => ({
  id: '01JD8XABCDEFGHJKMNPQRSTVWX',
  type: 'MetricsUpdate',
  label: '',
  toLabel: '',
  inReplyTo: undefined,
  expectsReply: false,
  priority: 5,
  ttlS: 60,
  timestamp: wallMillis(1_760_000_000_000),
  contentType: 'application/json',
  body: new TextEncoder().encode('{"cpu":0.5}'),
  ...change
})
