import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCbor } from '../../../src/core/base/cbor.ts'
import { isMeshError, signingDomains } from '../../../src/core/base/index.ts'
import { type Card, cardLimits, decodeCard, encodeCard, parseCard } from '../../../src/core/peers/index.ts'
import { cardOf, network, signerOf, verifier } from './support.ts'

const signer = signerOf('card')
const expected = { network, publicKey: signer.publicKey, verifier }
const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

/** A card signed by its key, whatever its fields are. */
function signed(fields: readonly unknown[]): Uint8Array {
  const body = encodeCbor(fields as never)
  return encodeCbor([body, signer.sign(signingDomains.card, body)])
}

const fieldsOf = (changes: Partial<Record<keyof Card | 'version', unknown>>): readonly unknown[] => {
  const card = { version: 1, ...cardOf(signer.publicKey), ...changes }
  return [card.version, card.network, card.publicKey, card.name, card.labels, card.features, card.addresses, card.issuedAt]
}

test('a card comes back as it was signed', () => {
  const card = cardOf(signer.publicKey)
  assert.deepEqual(decodeCard(encodeCard(card, signer), expected), card)
})

test('the same card is always the same bytes', () => {
  assert.deepEqual(encodeCard(cardOf(signer.publicKey), signer), encodeCard(cardOf(signer.publicKey), signer))
})

test('a card of another key than the authenticated peer is refused', () => {
  const bytes = encodeCard(cardOf(signer.publicKey), signer)
  assert.throws(() => decodeCard(bytes, { ...expected, publicKey: signerOf('other').publicKey }), failure('IDENTITY_MISMATCH'))
})

test('a card that names a key whose owner did not sign it is refused', () => {
  const forged = encodeCard(cardOf(signer.publicKey), signerOf('forger'))
  assert.throws(() => decodeCard(forged, expected), failure('SIGNATURE_INVALID'))
})

test('a card of another network is refused', () => {
  assert.throws(() => decodeCard(encodeCard(cardOf(signer.publicKey), signer), { ...expected, network: 'elsewhere' }), failure('NETWORK_MISMATCH'))
})

test('every changed byte is noticed', () => {
  const bytes = encodeCard(cardOf(signer.publicKey), signer)
  for (let index = 0; index < bytes.length; index++) {
    const changed = bytes.slice()
    changed[index] = (changed[index] ?? 0) ^ 1
    assert.throws(() => decodeCard(changed, expected), isMeshError, `byte ${index}`)
  }
})

test('names, labels and addresses that could move a cursor, name a property or pass for a path are refused', () => {
  for (const name of ['\u001b[2J', 'a\u202eb', '../etc', '__proto__', 'a b', 'ä', '.hidden', 'x'.repeat(64)]) {
    assert.throws(() => decodeCard(signed(fieldsOf({ name })), expected), failure('MESSAGE_MALFORMED'), name)
    assert.throws(() => decodeCard(signed(fieldsOf({ labels: [name.padEnd(65, 'x')] })), expected), failure('MESSAGE_MALFORMED'), name)
  }
  for (const address of ['', 'ip4', '/ip4/\u001b[2J', `/${'x'.repeat(256)}`, '/a b']) {
    assert.throws(() => decodeCard(signed(fieldsOf({ addresses: [address] })), expected), failure('MESSAGE_MALFORMED'), address)
  }
})

test('fields of a wrong type, number or range are refused', () => {
  const wrong: readonly Partial<Record<keyof Card | 'version', unknown>>[] = [
    { name: 7 },
    { labels: 'planner' },
    { labels: ['a', 'a'] },
    { features: ['UPPER'] },
    { publicKey: new Uint8Array(31) },
    { issuedAt: 'now' },
    { network: 'Main' },
    { labels: Array.from({ length: cardLimits.labels + 1 }, (_, index) => `l${index}`) },
    { features: [['nested']] }
  ]
  for (const changes of wrong)
    assert.throws(() => decodeCard(signed(fieldsOf(changes)), expected), failure('MESSAGE_MALFORMED'), JSON.stringify(changes))
  assert.throws(() => decodeCard(signed(fieldsOf({}).slice(0, 7)), expected), failure('MESSAGE_MALFORMED'))
  assert.throws(() => decodeCard(signed([...fieldsOf({}), 1]), expected), failure('MESSAGE_MALFORMED'))
})

test('a card of a later version is named so', () => {
  assert.throws(() => decodeCard(signed(fieldsOf({ version: 2 })), expected), failure('UNSUPPORTED_VERSION'))
})

test('addresses that do not fit are left out, the rest stays', () => {
  const addresses = Array.from({ length: 30 }, (_, index) => `/dns4/${'a'.repeat(60)}.${'b'.repeat(60)}${index}/tcp/9000`)
  const bytes = encodeCard(
    cardOf(signer.publicKey, { addresses, labels: Array.from({ length: 16 }, (_, index) => `${index}${'x'.repeat(60)}`) }),
    signer
  )
  assert.ok(bytes.length <= cardLimits.bytes)
  const { card } = parseCard(bytes)
  assert.deepEqual(card.addresses, addresses.slice(0, card.addresses.length))
  assert.ok(card.addresses.length > 5)
})

test('a card has room for the address over a relay that is named by its host name', () => {
  const id = '12D3KooWCPSuexGXdBHD6TJTxbT5z9DhYUvHR1P7uotTPEpa92VU'
  const address = `/dns4/${'relay.'.repeat(10)}example.org/tcp/443/tls/ws/p2p/${id}/p2p-circuit/p2p/${id}`
  assert.ok(address.length > 200)
  const bytes = encodeCard(cardOf(signer.publicKey, { addresses: [address] }), signer)
  assert.deepEqual(decodeCard(bytes, expected).addresses, [address])
})
