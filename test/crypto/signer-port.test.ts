import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isMeshError, utf8 } from '../../src/core/base/index.ts'
import { type Signer, signer, signerBackends, signerNames } from '../../src/crypto/public.ts'

const seed = Uint8Array.from({ length: 32 }, (_, index) => index)
const message = utf8('what is signed')
const context = utf8('where it counts')
const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

const ports: readonly Signer[] = signerNames.flatMap((name) =>
  signerBackends.filter((backend) => name !== 'ed25519' || backend !== 'liboqs').map((backend) => signer(name, backend))
)

for (const port of ports) {
  const { name, backend, sizes, abilities } = port
  const oracle = signer(name, 'noble')
  describe(`${name} by ${backend}`, () => {
    test('agrees with noble in both directions, with random keys', async () => {
      for (const [own, other] of [
        [port, oracle],
        [oracle, port],
        [port, port]
      ] as const) {
        const { publicKey, privateKey } = await own.generateKeyPair()
        const signature = await own.sign(message, privateKey)
        assert.deepEqual([publicKey.length, signature.length], [sizes.publicKey, sizes.signature])
        assert.ok([publicKey, privateKey, signature].every((bytes) => bytes.constructor === Uint8Array))
        assert.equal(await other.checkPublicKey(publicKey), true)
        assert.equal(await own.checkPrivateKey(privateKey), true)
        assert.equal(await other.verify({ publicKey, message, signature }), true)
        const empty = await own.sign(new Uint8Array(), privateKey)
        assert.equal(await other.verify({ publicKey, message: new Uint8Array(), signature: empty }), true)
      }
    })

    test('takes no signature of another message, key or context, none that was changed, and none of another length', async () => {
      const { publicKey, privateKey } = await port.generateKeyPair()
      const signature = await port.sign(message, privateKey)
      const other = await port.generateKeyPair()
      assert.equal(await port.verify({ publicKey, message, signature }), true)
      assert.equal(await port.verify({ publicKey, message, signature, context: new Uint8Array() }), true)
      const wrong = [
        { publicKey, message: flipped(message, 0), signature },
        { publicKey: other.publicKey, message, signature },
        { publicKey: publicKey.subarray(1), message, signature },
        { publicKey: new Uint8Array(), message, signature },
        ...[0, sizes.signature >> 1, sizes.signature - 1].map((at) => ({ publicKey, message, signature: flipped(signature, at) })),
        ...[0, 1, sizes.signature - 1].map((length) => ({ publicKey, message, signature: signature.subarray(0, length) })),
        { publicKey, message, signature: Uint8Array.from([...signature, 0]) },
        ...(abilities.context ? [{ publicKey, message, signature, context }] : [])
      ]
      for (const signed of wrong) assert.equal(await port.verify(signed), false)
    })

    test('signs a context, or says that it takes none', async () => {
      const { publicKey, privateKey } = await port.generateKeyPair()
      if (abilities.context) {
        const signature = await port.sign(message, privateKey, { context })
        assert.equal(await oracle.verify({ publicKey, message, signature, context }), true)
        assert.equal(await oracle.verify({ publicKey, message, signature }), false)
      } else {
        await assert.rejects(port.sign(message, privateKey, { context }), { code: 'BACKEND_UNSUPPORTED' })
        const signature = new Uint8Array(sizes.signature)
        await assert.rejects(port.verify({ publicKey, message, signature, context }), { code: 'BACKEND_UNSUPPORTED' })
      }
      await assert.rejects(port.sign(message, privateKey, { context: new Uint8Array(256) }), { code: 'KEY_INVALID' })
    })

    test('says what else it cannot do', async () => {
      const { privateKey } = await port.generateKeyPair()
      const attempts: readonly (readonly [boolean, () => Promise<unknown>])[] = [
        [abilities.seeds, () => port.generateKeyPair(seed)],
        [abilities.seeds, () => port.sign(message, seed)],
        [abilities.expansion, () => port.expandPrivateKey(seed)],
        [abilities.randomness, () => port.sign(message, privateKey, { randomness: new Uint8Array(32) })]
      ]
      for (const [isAble, attempt] of attempts) {
        if (isAble) await attempt()
        else await assert.rejects(attempt(), (error) => isMeshError(error, 'BACKEND_UNSUPPORTED') && error.details['backend'] === backend)
      }
    })

    test('refuses private keys of a wrong length, and leaves the inputs as they were', async () => {
      for (const length of [0, 31, 33, sizes.expandedKey - 1, sizes.expandedKey + 1]) {
        await assert.rejects(port.sign(message, new Uint8Array(length)), { code: 'KEY_INVALID' })
        await assert.rejects(port.checkPrivateKey(new Uint8Array(length)), { code: 'KEY_INVALID' })
      }
      await assert.rejects(port.checkPublicKey(new Uint8Array(sizes.publicKey - 1)), { code: 'KEY_INVALID' })
      if (!abilities.seeds) return
      const given = Buffer.from(seed)
      const { publicKey } = await port.generateKeyPair(given)
      const pending = port.sign(Buffer.from(message), given)
      assert.deepEqual(new Uint8Array(given), seed)
      given.fill(0)
      assert.equal(await port.verify({ publicKey: Buffer.from(publicKey), message, signature: await pending }), true)
    })
  })
}

test('ML-DSA with given randomness is deterministic, and expanded keys with coefficients out of range are refused', async () => {
  for (const name of ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const) {
    const noble = signer(name, 'noble')
    const randomness = new Uint8Array(32)
    assert.deepEqual(await noble.sign(message, seed, { randomness }), await noble.sign(message, seed, { randomness }))
    assert.notDeepEqual(await noble.sign(message, seed), await noble.sign(message, seed))
    const expanded = await noble.expandPrivateKey(seed)
    for (const backend of ['node', 'liboqs', 'noble'] as const)
      await assert.rejects(signer(name, backend).sign(message, expanded.fill(0xff, 128, 160)), { code: 'KEY_INVALID' })
  }
})

test('other names and backends are usage errors that name what is allowed; names count in any case', () => {
  for (const name of ['', 'ml-dsa', 'rsa', 'constructor', undefined, 65])
    assert.throws(() => Reflect.apply(signer, undefined, [name]), { code: 'OPTION_INVALID', message: /ml-dsa-44, ml-dsa-65, ml-dsa-87, ed25519/ })
  assert.throws(() => Reflect.apply(signer, undefined, ['ed25519', 'openssl']), { code: 'OPTION_INVALID', message: /node, webcrypto, liboqs, noble/ })
  assert.throws(() => signer('ed25519', 'liboqs'), { code: 'BACKEND_UNSUPPORTED' })
  assert.equal(Reflect.apply(signer, undefined, ['ML-DSA-65']).name, 'ml-dsa-65')
})

test('the table of what each backend can do is the one of docs/crypto.md', () => {
  const all = { seeds: true, expandedKeys: true, expansion: true, context: true, randomness: true }
  const none = { seeds: false, expandedKeys: false, expansion: false, context: false, randomness: false }
  for (const name of ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const)
    assert.deepEqual(Object.fromEntries(signerBackends.map((backend) => [backend, signer(name, backend).abilities])), {
      node: { ...all, randomness: false },
      webcrypto: { ...none, seeds: true, context: true },
      liboqs: { ...none, expandedKeys: true },
      noble: all
    })
  for (const backend of ['node', 'webcrypto', 'noble'] as const) assert.deepEqual(signer('ed25519', backend).abilities, { ...none, seeds: true })
})
