import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { equalBytes, isMeshError } from '../../src/core/base/index.ts'
import { type Kem, kem, kemBackends } from '../../src/crypto/public.ts'
import { kemLevels } from './support.ts'

const seed = Uint8Array.from({ length: 64 }, (_, index) => index)
const isPlain = (bytes: Uint8Array): boolean => bytes.constructor === Uint8Array && bytes.buffer.byteLength === bytes.length
const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

/** A key pair in each form that a backend takes, with its public key. */
async function privateKeys(port: Kem): Promise<{ readonly publicKey: Uint8Array; readonly forms: readonly Uint8Array[] }> {
  const oracle = kem(port.level, 'noble')
  const { publicKey } = await oracle.generateKeyPair(seed)
  const expanded = await oracle.expandPrivateKey(seed)
  return { publicKey, forms: [...(port.abilities.seeds ? [seed] : []), ...(port.abilities.expandedKeys ? [expanded] : [])] }
}

for (const backend of kemBackends) {
  for (const level of kemLevels) {
    const port = kem(level, backend)
    const { sizes, abilities } = port
    describe(`${port.name} by ${backend}`, () => {
      test('agrees with noble in both directions, with random keys', async () => {
        for (const [maker, sender] of [
          [port, kem(level, 'noble')],
          [kem(level, 'noble'), port],
          [port, port]
        ] as const) {
          const { publicKey, privateKey } = await maker.generateKeyPair()
          const { ciphertext, sharedSecret } = await sender.encapsulate(publicKey)
          assert.deepEqual([publicKey.length, ciphertext.length, sharedSecret.length], [sizes.publicKey, sizes.ciphertext, sizes.sharedSecret])
          assert.deepEqual(await maker.decapsulate(ciphertext, privateKey), sharedSecret)
          assert.ok([publicKey, privateKey, ciphertext, sharedSecret].every(isPlain), 'a view of a shared buffer, or a Buffer')
          const other = await maker.generateKeyPair()
          assert.ok(!equalBytes(other.publicKey, publicKey) && !equalBytes(other.privateKey, privateKey))
        }
      })

      test('rejects a changed ciphertext implicitly: the same secret each time, as noble has it, and never an error', async () => {
        const { publicKey, forms } = await privateKeys(port)
        assert.ok(forms.length > 0)
        const { ciphertext, sharedSecret } = await port.encapsulate(publicKey)
        for (const privateKey of forms) {
          for (const at of [0, 1, sizes.ciphertext >> 1, sizes.ciphertext - 1]) {
            const rejected = await port.decapsulate(flipped(ciphertext, at), privateKey)
            assert.ok(!equalBytes(rejected, sharedSecret))
            assert.deepEqual(rejected, await kem(level, 'noble').decapsulate(flipped(ciphertext, at), seed))
          }
          for (const byte of [0, 255]) assert.equal((await port.decapsulate(new Uint8Array(sizes.ciphertext).fill(byte), privateKey)).length, 32)
        }
      })

      test('refuses wrong lengths and what is no bytes, with the error that says so', async () => {
        const { publicKey, forms } = await privateKeys(port)
        const [privateKey = seed] = forms
        const { ciphertext } = await port.encapsulate(publicKey)
        const longer = (bytes: Uint8Array): Uint8Array => Uint8Array.from([...bytes, 0])
        for (const wrong of [new Uint8Array(), publicKey.subarray(1), longer(publicKey)]) {
          await assert.rejects(port.encapsulate(wrong), { code: 'KEY_INVALID', details: errorDetails(port, wrong) })
          await assert.rejects(port.checkPublicKey(wrong), { code: 'KEY_INVALID' })
        }
        for (const wrong of [new Uint8Array(), privateKey.subarray(1), longer(privateKey), new Uint8Array(sizes.expandedKey + 1)]) {
          await assert.rejects(port.decapsulate(ciphertext, wrong), { code: 'KEY_INVALID' })
          await assert.rejects(port.checkPrivateKey(wrong), { code: 'KEY_INVALID' })
        }
        for (const wrong of [new Uint8Array(), ciphertext.subarray(1), longer(ciphertext)])
          await assert.rejects(port.decapsulate(wrong, privateKey), { code: 'MESSAGE_MALFORMED' })
        for (const wrong of [undefined, null, 'x'.repeat(sizes.publicKey), Array.from(publicKey), publicKey.buffer, 7])
          await assert.rejects(Reflect.apply(port.encapsulate, port, [wrong]), { code: 'KEY_INVALID' })
        if (abilities.seeds) await assert.rejects(port.generateKeyPair(seed.subarray(1)), { code: 'KEY_INVALID' })
        if (abilities.randomness) await assert.rejects(port.encapsulate(publicKey, new Uint8Array(31)), { code: 'KEY_INVALID' })
      })

      test('says what it cannot do', async () => {
        const { publicKey } = await kem(level, 'noble').generateKeyPair(seed)
        const attempts: readonly (readonly [boolean, () => Promise<unknown>])[] = [
          [abilities.seeds, () => port.generateKeyPair(seed)],
          [abilities.seeds, () => port.decapsulate(new Uint8Array(sizes.ciphertext), seed)],
          [abilities.expansion, () => port.expandPrivateKey(seed)],
          [abilities.randomness, () => port.encapsulate(publicKey, new Uint8Array(32))],
          [abilities.expandedKeys, async () => port.decapsulate(new Uint8Array(sizes.ciphertext), await kem(level, 'noble').expandPrivateKey(seed))]
        ]
        for (const [isAble, attempt] of attempts) {
          if (isAble) await attempt()
          else await assert.rejects(attempt(), (error) => isMeshError(error, 'BACKEND_UNSUPPORTED') && error.details['backend'] === backend)
        }
      })

      test('takes Buffers and views, leaves its inputs as they were, and does not look at them later', async () => {
        const { publicKey, forms } = await privateKeys(port)
        const view = Buffer.concat([Buffer.from('front'), publicKey, Buffer.from('back')]).subarray(5, 5 + publicKey.length)
        const shared = new Uint8Array(new SharedArrayBuffer(publicKey.length))
        shared.set(publicKey)
        for (const [given, privateKey] of [view, shared].flatMap((key) => forms.map((form) => [key, form] as const))) {
          const pending = port.encapsulate(given)
          given.fill(0)
          const { ciphertext, sharedSecret } = await pending
          given.set(publicKey)
          const key = Buffer.from(privateKey)
          const decapsulated = port.decapsulate(Buffer.from(ciphertext), key)
          assert.deepEqual(new Uint8Array(key), privateKey)
          key.fill(0)
          assert.deepEqual(await decapsulated, sharedSecret)
        }
        const given = new Uint8Array(seed)
        if (abilities.seeds) await port.generateKeyPair(given)
        assert.deepEqual(given, seed)
      })
    })
  }
}

const errorDetails = (port: Kem, wrong: Uint8Array): object => ({
  what: 'encapsulation key',
  algorithm: port.name,
  reason: `${wrong.length} bytes instead of ${port.sizes.publicKey}`
})

test('other levels and backends are usage errors that name what is allowed', () => {
  for (const level of [0, 2, 4, 6, 1.5, Number.NaN, '3', undefined, null, 'constructor'])
    assert.throws(() => Reflect.apply(kem, undefined, [level]), { code: 'OPTION_INVALID', message: /1, 3 or 5/ })
  for (const backend of ['', 'openssl', 'constructor', null, 3])
    assert.throws(() => Reflect.apply(kem, undefined, [3, backend]), { code: 'OPTION_INVALID', message: /node, webcrypto, liboqs, noble/ })
  assert.equal(Reflect.apply(kem, undefined, [5, 'Node:Crypto']).backend, 'node')
  assert.equal(kem(1).name, 'ML-KEM-512')
})

test('a runtime without the algorithm in its WebCrypto, or without WebCrypto, is told apart from a bad key', async (t) => {
  const real = globalThis.crypto
  t.after(() => Object.defineProperty(globalThis, 'crypto', { value: real, configurable: true, writable: true }))
  const refuse = (): Promise<never> => Promise.reject(new DOMException('no such algorithm', 'NotSupportedError'))
  const subtle = { importKey: refuse, encapsulateBits: refuse, decapsulateBits: refuse, getPublicKey: refuse }
  for (const value of [{ subtle, getRandomValues: real.getRandomValues.bind(real) }, {}]) {
    Object.defineProperty(globalThis, 'crypto', { value, configurable: true, writable: true })
    await assert.rejects(kem(3, 'webcrypto').generateKeyPair(), { code: 'BACKEND_UNSUPPORTED' })
  }
})

test('the table of what each backend can do is the one of docs/crypto.md', () => {
  const all = { seeds: true, expandedKeys: true, expansion: true, randomness: true }
  const none = { seeds: false, expandedKeys: false, expansion: false, randomness: false }
  assert.deepEqual(Object.fromEntries(kemBackends.map((backend) => [backend, kem(3, backend).abilities])), {
    node: { ...all, randomness: false },
    webcrypto: { ...none, seeds: true },
    liboqs: { ...none, expandedKeys: true },
    noble: all
  })
})

test('an expanded key whose secret half is damaged: OpenSSL refuses it, the others reject implicitly, as docs/crypto.md says', async () => {
  for (const level of kemLevels) {
    const oracle = kem(level, 'noble')
    const { publicKey } = await oracle.generateKeyPair(seed)
    const { ciphertext, sharedSecret } = await oracle.encapsulate(publicKey)
    const damaged = await oracle.expandPrivateKey(seed)
    // The first coefficients become 0: in range, but others than they were.
    damaged.fill(0, 0, 96)
    await assert.rejects(kem(level, 'node').decapsulate(ciphertext, damaged), { code: 'KEY_INVALID' })
    const answers = await Promise.all((['noble', 'liboqs'] as const).map((backend) => kem(level, backend).decapsulate(ciphertext, damaged)))
    assert.deepEqual(answers[0], answers[1])
    assert.notDeepEqual(answers[0], sharedSecret)
  }
})
