import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'
import { describe, test } from 'node:test'
import { sha3_256, shake256 } from '@noble/hashes/sha3.js'
import { concat, fromHex, toHex, utf8 } from '../../src/core/base/index.ts'
import { kem, kemBackends } from '../../src/crypto/public.ts'
import { isMet, kemLevels, kemOf, readAcvp, readVectors } from './support.ts'

interface KeyGenCase {
  readonly tcId: number
  readonly z: string
  readonly d: string
  readonly ek: string
  readonly dk: string
}

interface EncapDecapGroup {
  readonly function: 'encapsulation' | 'decapsulation' | 'decapsulationKeyCheck' | 'encapsulationKeyCheck'
  readonly keyFormat: 'none' | 'seed' | 'expanded'
}

interface EncapDecapCase extends KeyGenCase {
  readonly c: string
  readonly k: string
  readonly m: string
  readonly testPassed: boolean
}

const keyGen = readAcvp<object, KeyGenCase>('acvp-mlkem-keygen.json')
const encapDecap = readAcvp<EncapDecapGroup, EncapDecapCase>('acvp-mlkem-encapdecap-tr1.json')
const groupsOf = (name: EncapDecapGroup['function']): typeof encapDecap => encapDecap.filter((group) => group.function === name)
const count = (groups: readonly { readonly tests: readonly unknown[] }[]): number => groups.reduce((sum, { tests }) => sum + tests.length, 0)
const lower = (hex: string): string => hex.toLowerCase()

test('the files of vectors are whole', () => {
  assert.equal(count(keyGen), 75)
  assert.deepEqual(
    (['encapsulation', 'decapsulation', 'encapsulationKeyCheck', 'decapsulationKeyCheck'] as const).map((name) => count(groupsOf(name))),
    [75, 60, 30, 30]
  )
  assert.deepEqual(
    kemLevels.map((level) => modulusKeys(level).length),
    [775, 780, 1_040]
  )
})

for (const backend of kemBackends) {
  const { abilities } = kem(3, backend)
  const isOracle = backend === 'noble'
  describe(`ML-KEM by ${backend}`, () => {
    test('makes the keys of NIST from their seeds (ACVP keyGen, 75), or says that it has no seeds', async () => {
      if (!abilities.seeds) return assert.rejects(kem(3, backend).generateKeyPair(new Uint8Array(64)), { code: 'BACKEND_UNSUPPORTED' })
      for (const { parameterSet, tests } of keyGen) {
        const port = kemOf(parameterSet, backend)
        for (const { tcId, d, z, ek, dk } of tests) {
          const seed = fromHex(d + z)
          const { publicKey, privateKey } = await port.generateKeyPair(seed)
          assert.equal(toHex(publicKey), lower(ek), `${tcId}`)
          assert.deepEqual(privateKey, seed)
          if (abilities.expansion) assert.equal(toHex(await port.expandPrivateKey(seed)), lower(dk), `${tcId}`)
        }
      }
    })

    test('encapsulates to the answers of NIST, or to what noble decapsulates (ACVP encapsulation, 75)', async () => {
      for (const { parameterSet, tests } of groupsOf('encapsulation')) {
        const [port, oracle] = [kemOf(parameterSet, backend), kemOf(parameterSet, 'noble')]
        for (const { tcId, ek, dk, c, k, m } of tests) {
          if (isOracle) {
            const known = await port.encapsulate(fromHex(ek), fromHex(m))
            assert.deepEqual([toHex(known.ciphertext), toHex(known.sharedSecret)], [lower(c), lower(k)], `${tcId}`)
          }
          const fresh = await port.encapsulate(fromHex(ek))
          assert.deepEqual(await oracle.decapsulate(fresh.ciphertext, fromHex(dk)), fresh.sharedSecret, `${tcId}`)
          if (abilities.expandedKeys) assert.equal(toHex(await port.decapsulate(fromHex(c), fromHex(dk))), lower(k), `${tcId}`)
        }
      }
    })

    for (const keyFormat of ['seed', 'expanded'] as const) {
      test(`decapsulates, and rejects implicitly, with ${keyFormat} keys (ACVP decapsulation, 30), or says that it takes none`, async () => {
        const isAble = keyFormat === 'seed' ? abilities.seeds : abilities.expandedKeys
        for (const { parameterSet, tests } of groupsOf('decapsulation').filter((group) => group.keyFormat === keyFormat)) {
          const port = kemOf(parameterSet, backend)
          for (const { tcId, d, z, dk, c, k } of tests) {
            const answer = port.decapsulate(fromHex(c), fromHex(keyFormat === 'seed' ? d + z : dk))
            if (isAble) assert.equal(toHex(await answer), lower(k), `${tcId}`)
            else await assert.rejects(answer, { code: 'BACKEND_UNSUPPORTED' })
          }
        }
      })
    }

    test('checks encapsulation keys (ACVP encapsulationKeyCheck, 30)', async () => {
      for (const { parameterSet, tests } of groupsOf('encapsulationKeyCheck')) {
        const port = kemOf(parameterSet, backend)
        for (const { tcId, ek, testPassed } of tests) {
          assert.equal(await isMet(port.checkPublicKey(fromHex(ek))), testPassed, `${tcId}`)
          assert.equal(await isMet(port.encapsulate(fromHex(ek))), testPassed, `${tcId}`)
        }
      }
    })

    test('checks decapsulation keys (ACVP decapsulationKeyCheck, 30)', async () => {
      for (const { parameterSet, tests } of groupsOf('decapsulationKeyCheck')) {
        const port = kemOf(parameterSet, backend)
        for (const { tcId, dk, testPassed } of tests) {
          assert.equal(await isMet(port.checkPrivateKey(fromHex(dk))), testPassed, `${tcId}`)
          if (!abilities.expandedKeys) continue
          assert.equal(await isMet(port.decapsulate(new Uint8Array(port.sizes.ciphertext), fromHex(dk))), testPassed, `${tcId}`)
        }
      }
    })

    test('refuses each key with a coefficient out of range (C2SP/CCTV modulus, 2,595)', async () => {
      for (const level of kemLevels) {
        const port = kem(level, backend)
        for (const key of modulusKeys(level)) {
          await assert.rejects(port.encapsulate(key), { code: 'KEY_INVALID' })
          await assert.rejects(port.checkPublicKey(key), { code: 'KEY_INVALID' })
        }
      }
    })

    test('is the ML-KEM half of X-Wing (noble-post-quantum hybrids, 5), by the expanded key where it has no seeds', async () => {
      const cases: readonly XWingCase[] = JSON.parse(readVectors('hybrid-MLKEM768X25519.json'))
      assert.equal(cases.length, 5)
      for (const each of cases) {
        const [expanded, ciphertext] = [shake256(fromHex(each.seed), { dkLen: 96 }), fromHex(each.ct)]
        const port = kem(3, backend)
        const { publicKey, privateKey: seed } = await kem(3, abilities.seeds ? backend : 'noble').generateKeyPair(expanded.subarray(0, 64))
        const privateKey = abilities.seeds ? seed : await kem(3, 'noble').expandPrivateKey(seed)
        const own = x25519(expanded.subarray(64))
        assert.equal(toHex(concat(publicKey, own.publicKey)), each.pk)
        const inner = await port.decapsulate(ciphertext.subarray(0, 1_088), privateKey)
        const outer = own.agree(ciphertext.subarray(1_088))
        // draft-connolly-cfrg-xwing-kem section 5.3: the label is `\.//^\`.
        assert.equal(toHex(sha3_256(concat(inner, outer, ciphertext.subarray(1_088), own.publicKey, utf8('\\.//^\\')))), each.ss)
        if (!abilities.randomness) continue
        const randomness = fromHex(each.randomness)
        assert.deepEqual((await port.encapsulate(publicKey, randomness.subarray(0, 32))).ciphertext, ciphertext.slice(0, 1_088))
        assert.deepEqual(x25519(randomness.subarray(32)).publicKey, ciphertext.slice(1_088))
      }
    })
  })
}

interface XWingCase {
  readonly seed: string
  readonly randomness: string
  readonly pk: string
  readonly ct: string
  readonly ss: string
}

interface X25519 {
  readonly publicKey: Uint8Array
  agree(remote: Uint8Array): Uint8Array
}

function x25519(secret: Uint8Array): X25519 {
  const privateKey = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), secret]),
    format: 'der',
    type: 'pkcs8'
  })
  return {
    publicKey: new Uint8Array(createPublicKey(privateKey).export({ format: 'raw-public' })),
    agree: (remote) => {
      const publicKey = createPublicKey({ key: Buffer.from(remote), format: 'raw-public', asymmetricKeyType: 'x25519' })
      return diffieHellman({ privateKey, publicKey })
    }
  }
}

function modulusKeys(level: 1 | 3 | 5): readonly Uint8Array[] {
  const name = { 1: '512', 3: '768', 5: '1024' }[level]
  return readVectors(`cctv-modulus-${name}.txt`)
    .split('\n')
    .filter((line) => line !== '')
    .map(fromHex)
}
