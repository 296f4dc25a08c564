import assert from 'node:assert/strict'
import { createPublicKey, hash, verify } from 'node:crypto'
import { describe, test } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { concat, fromHex, signingDomains, signingInput, toHex, utf8 } from '../../src/core/base/index.ts'
import { createVerifier } from '../../src/crypto/index.ts'
import { type Signer, type SignerBackend, type SignerName, signer, signerBackends } from '../../src/crypto/public.ts'
import { readAcvp } from './support.ts'

interface KeyGenCase {
  readonly tcId: number
  readonly seed: string
  readonly pk: string
  readonly sk: string
}

interface SigVerCase {
  readonly tcId: number
  readonly testPassed: boolean
  readonly pk: string
  readonly message: string
  readonly context: string
  readonly signature: string
}

const keyGen = readAcvp<object, KeyGenCase>('acvp-mldsa-keygen-5each.json')
const sigVer = readAcvp<object, SigVerCase>('acvp-mldsa-sigver-external-pure-8each.json')
const nameOf = (parameterSet: string): SignerName => {
  const name = parameterSet.toLowerCase()
  if (name === 'ml-dsa-44' || name === 'ml-dsa-65' || name === 'ml-dsa-87') return name
  throw new RangeError(`no ${parameterSet}`)
}
const message = utf8('what is signed')

for (const backend of signerBackends) {
  describe(`ML-DSA by ${backend}`, () => {
    test('makes the keys of NIST from their seeds (ACVP keyGen, 15), or signs with them', async () => {
      for (const { parameterSet, tests } of keyGen) {
        assert.equal(tests.length, 5)
        const port = signer(nameOf(parameterSet), backend)
        for (const { seed, pk, sk } of tests) await checkKey(port, { seed: fromHex(seed), publicKey: fromHex(pk), expanded: fromHex(sk) })
      }
    })

    test('verifies what NIST says verifies, and nothing else (ACVP sigVer, 24), or says that it takes no context', async () => {
      for (const { parameterSet, tests } of sigVer) {
        assert.equal(tests.length, 8)
        const port = signer(nameOf(parameterSet), backend)
        for (const each of tests) {
          const isAble = port.abilities.context || each.context === ''
          const answer = port.verify({
            publicKey: fromHex(each.pk),
            message: fromHex(each.message),
            signature: fromHex(each.signature),
            context: fromHex(each.context)
          })
          if (isAble) assert.equal(await answer, each.testPassed, `${each.tcId}`)
          else await assert.rejects(answer, { code: 'BACKEND_UNSUPPORTED' })
        }
      }
    })
  })
}

interface KnownKey {
  readonly seed: Uint8Array
  readonly publicKey: Uint8Array
  readonly expanded: Uint8Array
}

/** The key pair of a seed is the known one, or cannot be made; every form of it that the backend takes signs for noble. */
async function checkKey(port: Signer, { seed, publicKey, expanded }: KnownKey): Promise<void> {
  const { seeds, expandedKeys, expansion } = port.abilities
  if (seeds) assert.deepEqual(await port.generateKeyPair(seed), { publicKey, privateKey: seed })
  else await assert.rejects(port.generateKeyPair(seed), { code: 'BACKEND_UNSUPPORTED' })
  if (expansion) assert.deepEqual(await port.expandPrivateKey(seed), expanded)
  else await assert.rejects(port.expandPrivateKey(seed), { code: 'BACKEND_UNSUPPORTED' })
  for (const [privateKey, isAble] of [
    [seed, seeds],
    [expanded, expandedKeys]
  ] as const) {
    if (!isAble) {
      await assert.rejects(port.sign(message, privateKey), { code: 'BACKEND_UNSUPPORTED' })
      continue
    }
    const signature = await port.sign(message, privateKey)
    assert.equal(await signer(port.name, 'noble').verify({ publicKey, message, signature }), true)
  }
}

// RFC 8032 section 7.1, tests 1 to 3: secret key, public key, message, signature.
const rfc8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a'
  ]
] as const

const edBackends = ['node', 'webcrypto', 'noble'] as const satisfies readonly SignerBackend[]

interface Divergence {
  readonly name: string
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
  readonly isValid: boolean
}

const { Point } = ed25519
const order = Point.Fn.ORDER
/** A point of order 8. */
const torsion = Point.fromBytes(fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'))
const littleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes.toReversed())}`)
const scalarBytes = (scalar: bigint): Uint8Array => fromHex(scalar.toString(16).padStart(64, '0')).toReversed()

interface Parts {
  readonly name: string
  /** 0: the key is of small order. */
  readonly secret?: bigint
  /** 0: R is of small order. */
  readonly nonce?: bigint
  /** How often the point of order 8 is added to the key, and to R. */
  readonly keyTorsion?: number
  readonly commitmentTorsion?: number
  /** Other encodings of the points, put in their place. */
  readonly encodedKey?: Uint8Array
  readonly encodedCommitment?: Uint8Array
  /** What is added to S. */
  readonly more?: bigint
  readonly text?: Uint8Array
  readonly isValid?: boolean
}

const pointOf = (scalar: bigint, torsions: number): InstanceType<typeof Point> => {
  const base = scalar === 0n ? Point.ZERO : Point.BASE.multiply(scalar)
  return torsions === 0 ? base : base.add(torsion.multiplyUnsafe(BigInt(torsions)))
}

/** A signature by hand, for which the equation holds after both sides are multiplied by the cofactor (RFC 8032 section 5.1.7). */
function forge(parts: Parts): Divergence {
  const { name, secret = 1_234n, nonce = 5_678n, more = 0n, text = message, isValid = false } = parts
  const publicKey = parts.encodedKey ?? pointOf(secret, parts.keyTorsion ?? 0).toBytes()
  const commitment = parts.encodedCommitment ?? pointOf(nonce, parts.commitmentTorsion ?? 0).toBytes()
  const response = scalarBytes(((nonce + challengeOf({ publicKey, commitment, text }) * secret) % order) + more)
  return { name, publicKey, message: text, signature: concat(commitment, response), isValid }
}

function challengeOf(signed: { readonly publicKey: Uint8Array; readonly commitment: Uint8Array; readonly text: Uint8Array }): bigint {
  return littleEndian(hash('sha512', concat(signed.commitment, signed.publicKey, signed.text), 'buffer')) % order
}

/** A message under which k · T vanishes, so that cofactored and cofactorless formulas both hold for a key with a torsion part; `signed` is what is signed of it. */
function hidden(signed: (text: Uint8Array) => Uint8Array = (text) => text): Divergence {
  for (let index = 0; ; index++) {
    const forged = forge({ name: 'a torsioned key that every formula takes', keyTorsion: 1, text: signed(utf8(`message ${index}`)) })
    const commitment = forged.signature.subarray(0, 32)
    if (challengeOf({ publicKey: forged.publicKey, commitment, text: forged.message }) % 8n === 0n) return forged
  }
}

/** What the libraries are known to disagree about, and what they agree about. */
const telling: readonly Divergence[] = [
  forge({ name: 'by hand', isValid: true }),
  forge({ name: 'a torsioned R', commitmentTorsion: 1 }),
  forge({ name: 'a torsioned key', keyTorsion: 1 }),
  forge({ name: 'a torsioned key and R', keyTorsion: 1, commitmentTorsion: 1 }),
  forge({ name: 'R is the neutral element', nonce: 0n }),
  forge({ name: 'R has small order', nonce: 0n, commitmentTorsion: 1 }),
  forge({ name: 'S is over the order', more: order }),
  hidden()
]

/** Every torsion part of A and R, with and without a part of prime order: only the honest ones are to be taken. */
function torsionCases(): readonly Divergence[] {
  const eight = [0, 1, 2, 3, 4, 5, 6, 7] as const
  return [1_234n, 0n].flatMap((secret) =>
    [5_678n, 0n].flatMap((nonce) =>
      eight.flatMap((keyTorsion) =>
        eight.map((commitmentTorsion) => {
          const isValid = secret !== 0n && nonce !== 0n && keyTorsion === 0 && commitmentTorsion === 0
          return forge({
            name: `A ${secret} + ${keyTorsion}T, R ${nonce} + ${commitmentTorsion}T`,
            secret,
            nonce,
            keyTorsion,
            commitmentTorsion,
            isValid
          })
        })
      )
    )
  )
}

/** Other encodings of points of small order: y over p, and x = 0 with a sign. */
const nonCanonical: readonly Uint8Array[] = [
  `ed${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(31)}`,
  `ee${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(31)}`,
  `ec${'ff'.repeat(31)}`,
  `01${'00'.repeat(30)}80`
].map(fromHex)

const divergences: readonly Divergence[] = [
  ...telling,
  ...torsionCases(),
  ...nonCanonical.flatMap((encoded) => [
    forge({ name: `A ${toHex(encoded)}`, secret: 0n, encodedKey: encoded }),
    forge({ name: `R ${toHex(encoded)}`, nonce: 0n, encodedCommitment: encoded }),
    forge({ name: `A and R ${toHex(encoded)}`, secret: 0n, nonce: 0n, encodedKey: encoded, encodedCommitment: encoded })
  ])
]

describe('Ed25519', () => {
  for (const backend of edBackends) {
    test(`${backend} holds the vectors of RFC 8032`, async () => {
      const port = signer('ed25519', backend)
      for (const [seed, publicKey, text, signature] of rfc8032) {
        assert.deepEqual(await port.generateKeyPair(fromHex(seed)), { publicKey: fromHex(publicKey), privateKey: fromHex(seed) })
        assert.equal(toHex(await port.sign(fromHex(text), fromHex(seed))), signature)
        assert.equal(await port.verify({ publicKey: fromHex(publicKey), message: fromHex(text), signature: fromHex(signature) }), true)
      }
    })

    test(`${backend} takes and refuses what every backend takes and refuses (${divergences.length} edge cases of A, R and S)`, async () => {
      const port = signer('ed25519', backend)
      assert.equal(divergences.length, 282)
      for (const { name, isValid, ...signed } of divergences) assert.equal(await port.verify(signed), isValid, name)
    })
  }

  test('what peers sign is verified by the same rule: a torsioned key that OpenSSL takes is refused', () => {
    const signed = (text: Uint8Array): Uint8Array => signingInput(signingDomains.card, 'test', text)
    const { publicKey, message: text, signature } = hidden(signed)
    assert.ok(verify(null, text, createPublicKey({ key: Buffer.from(publicKey), format: 'raw-public', asymmetricKeyType: 'ed25519' }), signature))
    const index = Array.from({ length: 1_000 }, (_, each) => each).find((each) => toHex(signed(utf8(`message ${each}`))) === toHex(text))
    assert.equal(createVerifier('test').verify(signingDomains.card, publicKey, utf8(`message ${index}`), signature), false)
  })

  test('the libraries by themselves disagree about these: without the rule this test would fail', () => {
    const byNoble = ({ publicKey, message: text, signature }: Divergence): boolean => ed25519.verify(signature, text, publicKey, { zip215: false })
    const byOpenssl = ({ publicKey, message: text, signature }: Divergence): boolean =>
      verify(null, text, createPublicKey({ key: Buffer.from(publicKey), format: 'raw-public', asymmetricKeyType: 'ed25519' }), signature)
    const found = telling.map((each) => `${each.name}: noble ${byNoble(each)}, OpenSSL ${byOpenssl(each)}`)
    assert.deepEqual(found, [
      'by hand: noble true, OpenSSL true',
      'a torsioned R: noble true, OpenSSL false',
      'a torsioned key: noble true, OpenSSL false',
      'a torsioned key and R: noble true, OpenSSL false',
      'R is the neutral element: noble true, OpenSSL false',
      'R has small order: noble true, OpenSSL false',
      'S is over the order: noble false, OpenSSL false',
      'a torsioned key that every formula takes: noble true, OpenSSL true'
    ])
  })
})
