import type { KemLevel } from '../../src/core/base/index.ts'
import { millis } from '../../src/core/base/index.ts'
import { Epochs } from '../../src/core/session/epochs.ts'
import { type Hello, type Refusal, decodeHello, decodeRefusal, encodeHello, encodeRefusal, sessionRefusals } from '../../src/core/session/hello.ts'
import { decodeIdentity, writeIdentity } from '../../src/core/session/identity.ts'
import { type SessionInput, SessionMachine, suiteOf, suites } from '../../src/core/session/index.ts'
import { decodePqRecord, encodePqRecord, pqSizes } from '../../src/core/session/pq-identity.ts'
import { End, aliceOptions, bobOptions, crypto, openPair, signers } from '../core/session/support.ts'
import { fuzzDecoder } from './fuzz.ts'

const hellos: readonly Hello[] = suites.map((suite) => ({
  suite,
  pqAuth: suite.level === 5,
  offers: suite.level === 3 ? [3] : [1, 3, 5],
  network: 'n'.repeat(suite.level),
  messageA: new Uint8Array(32 + { 1: 800, 3: 1_184, 5: 1_568 }[suite.level]).fill(7)
}))

fuzzDecoder({
  name: 'session hello',
  decode: (input) => decodeHello(input),
  encode: (value) => encodeHello(value as Hello),
  valid: hellos.map(encodeHello)
})

fuzzDecoder({
  name: 'session refusal',
  decode: (input) => decodeRefusal(input),
  encode: (value) => encodeRefusal(value as Refusal),
  valid: sessionRefusals.map((code) => encodeRefusal({ code, minimumLevel: 3 }))
})

const pqSignature = new Uint8Array(pqSizes.signature).fill(5)
const pqKey = new Uint8Array(pqSizes.publicKey).fill(6)
const trusting = { verify: () => true }
const record = encodePqRecord({ publicKey: pqKey, levels: [1, 5], sequence: 9 }, { signer: signers.bob, pqSign: () => pqSignature })

fuzzDecoder({
  name: 'quantum identity',
  decode: (input) => decodePqRecord(input, { publicKey: signers.bob.publicKey, verifier: trusting, pqVerifier: trusting }),
  valid: [record],
  codes: ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION', 'IDENTITY_MISMATCH']
})

const identityTools = {
  ...bobOptions(),
  pq: { identity: { publicKey: pqKey, record, sign: () => pqSignature }, verifier: trusting, keys: { accepts: () => true } }
}
const hash = new Uint8Array(32)

fuzzDecoder({
  name: 'session identity',
  decode: (input) => decodeIdentity(input),
  valid: [false, true].map((pqAuth) => writeIdentity(identityTools, { role: 'responder', hash, pqAuth }))
})

const keys = (): ConstructorParameters<typeof Epochs>[2] => ({
  initiatorToResponder: new Uint8Array(32).fill(1),
  responderToInitiator: new Uint8Array(32).fill(2),
  next: new Uint8Array(32).fill(3)
})
const epochs = (role: 'initiator' | 'responder', level: KemLevel = 1): Epochs => new Epochs({ crypto, suite: suiteOf(level) }, role, keys())

fuzzDecoder({
  name: 'rekey request',
  decode: (input) => epochs('responder').answer(input),
  valid: [epochs('initiator').ask()],
  codes: ['SESSION_RECORD_INVALID', 'HANDSHAKE_FAILED'],
  runs: 2_000
})

fuzzDecoder({
  name: 'rekey answer',
  decode: (input) => {
    const asking = epochs('initiator')
    asking.ask()
    return asking.finish(input)
  },
  valid: [new Uint8Array(32 + 768).fill(9)],
  codes: ['SESSION_RECORD_INVALID', 'HANDSHAKE_FAILED'],
  runs: 2_000
})

const wireCodes = [
  'MESSAGE_MALFORMED',
  'UNSUPPORTED_VERSION',
  'NETWORK_MISMATCH',
  'LEVEL_REFUSED',
  'SESSION_AUTH_REFUSED',
  'SESSION_RECORD_INVALID',
  'SESSION_UNCONFIRMED',
  'HANDSHAKE_FAILED'
] as const

/** What a machine makes of one frame, after some others; its failure is thrown. */
function feed(machine: SessionMachine, frames: readonly Uint8Array[]): void {
  const input = (event: SessionInput): void => {
    for (const output of machine.handle(event, millis(0))) if (output.type === 'failed') throw output.error
  }
  input({ type: 'start' })
  for (const frame of frames) input({ type: 'frame', frame })
}

fuzzDecoder({
  name: 'first frame of a session, by the responder',
  decode: (input) => feed(new SessionMachine(bobOptions()), [input]),
  valid: [new End(aliceOptions()).start().sent[0] ?? hash],
  codes: wireCodes,
  runs: 3_000
})

const [sealed = hash] = openPair().alice.say('of another session').frames

fuzzDecoder({
  name: 'record of a session that is open',
  // The one that is valid as a record is of another session.
  decode: (input) => (input === sealed ? undefined : feedOpen(input)),
  valid: [sealed],
  codes: wireCodes,
  runs: 1_000
})

function feedOpen(frame: Uint8Array): void {
  const { bob } = openPair()
  bob.receive([frame])
  if (bob.error !== undefined) throw bob.error
}
