import { proveLink, provedKey } from '../../src/core/onion/index.ts'
import { createSigner, createVerifier } from '../../src/crypto/index.ts'
import { fuzzDecoder } from './fuzz.ts'

const context = { linkKey: new Uint8Array(32).fill(1), acceptor: new Uint8Array(32).fill(2), now: 1_800_000_000_000 }
const verifier = createVerifier('test')

fuzzDecoder({
  name: 'proof of a link',
  decode: (input) => provedKey(verifier, input, context),
  codes: ['MESSAGE_MALFORMED', 'SIGNATURE_INVALID', 'CIRCUIT_VIOLATION'],
  valid: [proveLink(createSigner(new Uint8Array(32).fill(3), 'test'), context)]
})
