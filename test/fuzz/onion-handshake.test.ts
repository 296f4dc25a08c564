import { OnionKeys } from '../../src/core/onion/index.ts'
import { type RelaySide, answerHandshake, beginHandshake } from '../../src/core/onion/handshake.ts'
import { type KemLevel, millis } from '../../src/core/base/index.ts'
import { nodeHandshakeCrypto, nodeNtorHashes as hashes } from '../../src/crypto/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { fuzzDecoder } from './fuzz.ts'

const publicKey = new SeededRandom(1).bytes(32)
const keys = new OnionKeys({ crypto: nodeHandshakeCrypto, now: millis(0) })
const relay: RelaySide = { publicKey, onionKey: keys.find(keys.publicKey), once: () => undefined }
const target = { publicKey, onionKey: keys.publicKey }
const levels: readonly KemLevel[] = [1, 3, 5]
const begin = (level: KemLevel) => beginHandshake({ crypto: nodeHandshakeCrypto, hashes }, target, level)

fuzzDecoder({
  name: 'request of an onion handshake',
  decode: (input) => answerHandshake({ crypto: nodeHandshakeCrypto, hashes }, relay, input),
  valid: levels.map((level) => begin(level).request),
  codes: ['CIRCUIT_HANDSHAKE_FAILED']
})

// The same keys for each input, so that a valid reply is one for all of them.
const dh = nodeHandshakeCrypto.generateDh()
const kem = nodeHandshakeCrypto.kem(1)
const kemKey = kem.generate()
const fixed = { crypto: { ...nodeHandshakeCrypto, generateDh: () => dh, kem: () => ({ ...kem, generate: () => kemKey }) }, hashes }
const { request } = beginHandshake(fixed, target, 1)

fuzzDecoder({
  name: 'reply of an onion handshake',
  decode: (input) => beginHandshake(fixed, target, 1).finish(input),
  valid: [1, 2, 3].map(() => answerHandshake({ crypto: nodeHandshakeCrypto, hashes }, relay, request).reply),
  codes: ['CIRCUIT_HANDSHAKE_FAILED']
})
