import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCbor } from '../../../src/core/base/cbor.ts'
import { compareBytes, isMeshError, signingDomains, wallMillis } from '../../../src/core/base/index.ts'
import {
  descriptorLimits,
  encodeDescriptor,
  isOnionAddress,
  type OnionDescriptor,
  parseDescriptor,
  timeProblem,
  verifyDescriptor
} from '../../../src/core/onion/index.ts'
import { createVerifier } from '../../../src/crypto/index.ts'
import { descriptorOf, hourMs, network, signedBy, signerNamed, start, verifier } from './descriptor-support.ts'

const signer = signerNamed('descriptor')
const expected = { network, verifier }
const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code
const relayId = '12D3KooWCPSuexGXdBHD6TJTxbT5z9DhYUvHR1P7uotTPEpa92VU'
const circuit = `/ip4/198.51.77.1/tcp/9000/p2p/${relayId}/p2p-circuit`

/** What whoever gets a descriptor does. */
function decodeDescriptor(bytes: Uint8Array, by: typeof expected): OnionDescriptor {
  const parsed = parseDescriptor(bytes)
  verifyDescriptor(parsed, by)
  return parsed.descriptor
}

type Fields = Partial<Record<keyof OnionDescriptor | 'version', unknown>>

const fieldsOf = (changes: Fields): readonly unknown[] => {
  const all = { version: 1, ...descriptorOf(signer.publicKey), role: 0, ...changes }
  return [
    ...[all.version, all.network, all.publicKey, all.onionKey, all.role, all.addresses, all.family, all.levels, all.ciphers],
    ...[all.bytesPerSecond, all.sequence, all.issuedAt, all.expiresAt]
  ]
}

/** A descriptor signed by its key, whatever its fields are. */
function signed(fields: readonly unknown[]): Uint8Array {
  const body = encodeCbor(fields as never)
  return encodeCbor([body, signer.sign(signingDomains.onionDescriptor, body)])
}

test('a descriptor comes back as it was signed, and is always the same bytes', () => {
  const descriptor = descriptorOf(signer.publicKey, {
    addresses: ['/ip4/198.51.77.1/tcp/9000', '/ip6/2600::1/tcp/443/ws'],
    family: ['a', 'b'].map((name) => signerNamed(name).publicKey).sort(compareBytes)
  })
  const bytes = encodeDescriptor(descriptor, signer)
  assert.deepEqual(decodeDescriptor(bytes, expected), descriptor)
  assert.deepEqual(encodeDescriptor(descriptor, signer), bytes)
  assert.deepEqual(signed(fieldsOf({ addresses: descriptor.addresses, family: descriptor.family })), bytes)
})

test('a descriptor of somebody else, of another network or for another purpose is refused', () => {
  assert.throws(
    () => decodeDescriptor(encodeDescriptor(descriptorOf(signer.publicKey), signerNamed('forger')), expected),
    failure('SIGNATURE_INVALID')
  )
  const elsewhere = encodeDescriptor(descriptorOf(signer.publicKey, { network: 'elsewhere' }), signer)
  assert.throws(() => decodeDescriptor(elsewhere, expected), failure('NETWORK_MISMATCH'))
  const own = encodeDescriptor(descriptorOf(signer.publicKey), signer)
  assert.throws(() => decodeDescriptor(own, { network, verifier: createVerifier('elsewhere') }), failure('SIGNATURE_INVALID'))
  const { body } = parseDescriptor(own)
  assert.throws(() => decodeDescriptor(encodeCbor([body, signer.sign(signingDomains.card, body)]), expected), failure('SIGNATURE_INVALID'))
})

test('every changed byte is noticed', () => {
  const { bytes } = signedBy('descriptor')
  for (let index = 0; index < bytes.length; index++) {
    const changed = bytes.slice()
    changed[index] = (changed[index] ?? 0) ^ 1
    assert.throws(() => decodeDescriptor(changed, expected), isMeshError, `byte ${index}`)
  }
})

test('fields of a wrong type, number, order or range are refused', () => {
  const [low, high] = ['a', 'b'].map((name) => signerNamed(name).publicKey).sort(compareBytes)
  const wrong: readonly Fields[] = [
    ...[{ network: 'Main' }, { network: 7 }, { publicKey: new Uint8Array(31) }, { onionKey: new Uint8Array(33) }, { onionKey: 'key' }],
    ...[{ role: 2 }, { role: 'relay' }, { addresses: [] }, { addresses: 'none' }, { addresses: [7] }],
    ...[{ addresses: ['/ip4/198.51.77.1/tcp/9000', '/ip4/198.51.77.1/tcp/9000'] }],
    { addresses: Array.from({ length: 9 }, (_, index) => `/ip4/198.51.77.1/tcp/${9_000 + index}`) },
    ...[{ family: [high, low] }, { family: [low, low] }, { family: [low?.subarray(1)] }, { family: Array.from({ length: 33 }, () => low) }],
    ...[{ levels: [] }, { levels: [2] }, { levels: [3, 1] }, { levels: [1, 1] }, { levels: ['1'] }],
    ...[{ ciphers: [] }, { ciphers: [0] }, { ciphers: [256] }, { ciphers: [2, 1] }, { ciphers: [1, 2, 3, 4, 5, 6, 7, 8, 9] }],
    ...[{ bytesPerSecond: 2 ** 40 + 1 }, { bytesPerSecond: 'much' }, { sequence: null }, { issuedAt: 'now' }],
    ...[{ expiresAt: start }, { expiresAt: start - 1 }, { expiresAt: start + descriptorLimits.lifetimeMs + 1 }]
  ]
  for (const changes of wrong)
    assert.throws(() => decodeDescriptor(signed(fieldsOf(changes)), expected), failure('MESSAGE_MALFORMED'), JSON.stringify(changes))
  assert.throws(() => decodeDescriptor(signed(fieldsOf({}).slice(0, 12)), expected), failure('MESSAGE_MALFORMED'))
  assert.throws(() => decodeDescriptor(signed([...fieldsOf({}), 1]), expected), failure('MESSAGE_MALFORMED'))
  assert.throws(() => decodeDescriptor(new Uint8Array(descriptorLimits.bytes + 1), expected), failure('MESSAGE_MALFORMED'))
  assert.throws(() => decodeDescriptor(signed(fieldsOf({ version: 2 })), expected), failure('UNSUPPORTED_VERSION'))
})

test('addresses are IP addresses with a port: no names, no shares of a network that nobody can call, no other protocols', () => {
  const fine = [
    '/ip4/198.51.77.1/tcp/9000',
    '/ip4/127.0.0.1/tcp/1',
    '/ip4/10.1.2.3/tcp/9000/ws',
    '/ip6/2600::1/tcp/9000',
    '/ip6/fd00::1/tcp/80',
    '/ip6/::1/tcp/80'
  ]
  const wrong = [
    ...[
      '',
      '/dns4/example.org/tcp/9000',
      '/ip4/198.51.77.1/udp/9000',
      '/ip4/198.51.77.1/tcp/0',
      '/ip4/198.51.77.1/tcp/65536',
      '/ip4/0.0.0.0/tcp/9000'
    ],
    ...[
      '/ip4/224.0.0.1/tcp/9000',
      '/ip4/192.0.2.1/tcp/9000',
      '/ip6/fe80::1/tcp/9000',
      '/ip4/169.254.169.254/tcp/80',
      '/ip6/::ffff:198.51.77.1/tcp/9000'
    ],
    ...['/ip6/::198.51.77.1/tcp/9000', '/ip4/198.51.77.1/tcp/9000/p2p/x', `/ip4/198.51.77.1/tcp/9000/p2p/${relayId}`, '/ip4/198.51.77.1/tcp/9000\n'],
    ...[`/dns4/example.org/tcp/9000/p2p/${relayId}/p2p-circuit`, `/p2p/${relayId}/p2p-circuit`, `${circuit}/p2p-circuit`, `${circuit}/p2p/${relayId}`]
  ]
  for (const role of ['relay', 'endpoint'] as const) {
    for (const address of fine) assert.ok(isOnionAddress(address, role), address)
    for (const address of wrong) assert.ok(!isOnionAddress(address, role), address)
  }
})

test('a place at a circuit relay is an address of an endpoint, not of a relay', () => {
  assert.deepEqual(parseDescriptor(signed(fieldsOf({ role: 1, addresses: [circuit] }))).descriptor.addresses, [circuit])
  assert.throws(() => parseDescriptor(signed(fieldsOf({ role: 0, addresses: [circuit] }))), failure('MESSAGE_MALFORMED'))
  const { descriptor } = parseDescriptor(signedBy('descriptor', { addresses: [circuit, '/ip4/198.51.77.1/tcp/9000'] }).bytes)
  assert.deepEqual(descriptor.addresses, ['/ip4/198.51.77.1/tcp/9000'])
})

test('a descriptor with the largest family keeps its best addresses, and fits', () => {
  const family = Array.from({ length: descriptorLimits.family }, (_, index) => signerNamed(`member ${index}`).publicKey)
  const addresses = Array.from({ length: 8 }, (_, index) => `/ip6/2600:1111:2222:3333:4444:5555:6666:${7_000 + index}/tcp/65535/ws`)
  const bytes = encodeDescriptor(descriptorOf(signer.publicKey, { family, addresses, network: 'n'.repeat(40), bytesPerSecond: 2 ** 40 }), signer)
  assert.ok(bytes.length <= descriptorLimits.bytes, `${bytes.length} bytes`)
  const { descriptor } = parseDescriptor(bytes)
  assert.equal(descriptor.family.length, 32)
  assert.ok(descriptor.addresses.length >= 1)
  assert.deepEqual(descriptor.addresses, addresses.slice(0, descriptor.addresses.length))
  assert.throws(() => encodeDescriptor(descriptorOf(signer.publicKey, { addresses: [] }), signer), failure('MESSAGE_MALFORMED'))
})

test('clocks may be ten minutes apart, and no more', () => {
  const descriptor = descriptorOf(signer.publicKey)
  const at = (ms: number): ReturnType<typeof timeProblem> => timeProblem(descriptor, wallMillis(ms))
  assert.equal(at(start - 600_001), 'future')
  assert.equal(at(start - 600_000), undefined)
  assert.equal(at(start + 3 * hourMs + 599_999), undefined)
  assert.equal(at(start + 3 * hourMs + 600_000), 'expired')
})
