import { credentialsOf, decodeIceFrame, describeSession, encodeIceFrame, type IceFrame, parseCandidateLine } from '../../src/core/nat/index.ts'
import { fuzzDecoder } from './fuzz.ts'

const credentials = { fragment: 'ab+/', password: 'p'.repeat(24), fingerprint: new Uint8Array(32).fill(7) }
const frames: readonly IceFrame[] = [
  { kind: 'offer', policy: 'all', isSymmetric: false, credentials },
  { kind: 'answer', dtls: 'client', credentials },
  { kind: 'candidate', candidate: { type: 'host', priority: 2_114_977_791, address: '192.168.15.2', port: 40_000 } },
  { kind: 'candidate', candidate: { type: 'srflx', priority: 1, address: '2a0f:7777:1::2', port: 1 } },
  { kind: 'gathered' },
  { kind: 'ended', refusal: 'busy' }
]

fuzzDecoder({
  name: 'ICE frame',
  decode: (input) => decodeIceFrame(input),
  encode: (value) => encodeIceFrame(value as IceFrame),
  valid: frames.map(encodeIceFrame)
})

const latin1 = new TextDecoder('latin1')
const toBytes = (text: string): Uint8Array => new TextEncoder().encode(text)

// What our own library says is read with the same care.
fuzzDecoder({
  name: 'session description',
  decode: (input) => credentialsOf(latin1.decode(input)),
  valid: [toBytes(describeSession(credentials, 'client'))],
  codes: ['INTERNAL']
})

fuzzDecoder({
  name: 'candidate line',
  decode: (input) => {
    const found = parseCandidateLine(latin1.decode(input))
    return found === undefined ? decodeIceFrame(new Uint8Array(0)) : encodeIceFrame({ kind: 'candidate', candidate: found })
  },
  valid: [toBytes('a=candidate:2 1 UDP 1678769919 11.77.15.2 40000 typ srflx raddr 0.0.0.0 rport 0')]
})
