import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, toHex, utf8 } from '../../src/core/base/index.ts'
import { createSigner, createVerifier, ed25519FromSeed, hmacSha256, sha256, systemRandom, verifierKeys, verifyRaw } from '../../src/crypto/index.ts'

// RFC 8032 section 7.1: secret key, public key, message, signature.
const vectors = [
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
  ],
  [
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704'
  ]
] as const

for (const [index, [seed, publicKey, message, signature]] of vectors.entries()) {
  test(`Ed25519 vector ${index + 1} of RFC 8032 holds in both directions`, () => {
    const key = ed25519FromSeed(fromHex(seed))
    assert.equal(toHex(key.publicKey), publicKey)
    assert.equal(toHex(key.signRaw(fromHex(message))), signature)
    assert.equal(verifyRaw(fromHex(publicKey), fromHex(message), fromHex(signature)), true)
  })
}

const seed = fromHex(vectors[0][0])

test('a signature verifies in its own domain and network only', () => {
  const signer = createSigner(seed, 'main')
  const signature = signer.sign('receipt', utf8('bytes'))
  const verify = (network: string, domain: 'receipt' | 'card', bytes: string): boolean =>
    createVerifier(network).verify(domain, signer.publicKey, utf8(bytes), signature)
  assert.deepEqual(
    [verify('main', 'receipt', 'bytes'), verify('other', 'receipt', 'bytes'), verify('main', 'card', 'bytes'), verify('main', 'receipt', 'byteS')],
    [true, false, false, false]
  )
})

test('every flipped bit of a signature or key makes it fail', () => {
  const signer = createSigner(seed, 'main')
  const bytes = utf8('bytes')
  const signature = signer.sign('card', bytes)
  const verifier = createVerifier('main')
  const flipped = (whole: Uint8Array, bit: number): Uint8Array => whole.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
  for (let bit = 0; bit < 512; bit++) assert.equal(verifier.verify('card', signer.publicKey, bytes, flipped(signature, bit)), false)
  for (let bit = 0; bit < 256; bit++) assert.equal(verifier.verify('card', flipped(signer.publicKey, bit), bytes, signature), false)
})

test('malformed keys and signatures are false, never an error', () => {
  const verifier = createVerifier('main')
  for (const length of [0, 1, 31, 32, 33, 64, 1_000]) {
    assert.equal(verifier.verify('card', new Uint8Array(length).fill(255), utf8('x'), new Uint8Array(64)), false)
    assert.equal(verifier.verify('card', createSigner(seed, 'main').publicKey, utf8('x'), new Uint8Array(length)), false)
  }
})

test('a key of small order, under which anybody could sign, is refused', () => {
  const identity = fromHex(`01${'00'.repeat(31)}`)
  const forged = new Uint8Array(64)
  forged.set(identity)
  // Node itself takes it: A and R are the identity and S is 0, so that [S]B = R + [h]A for every message.
  assert.equal(verifyRaw(identity, utf8('anything'), forged), false)
  for (const y of [
    '00'.repeat(32),
    `ec${'ff'.repeat(30)}7f`,
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    `ee${'ff'.repeat(30)}7f`
  ])
    for (const signBit of [0, 0x80]) {
      const key = fromHex(y)
      key[31] = (key[31] ?? 0) | signBit
      assert.equal(verifyRaw(key, utf8('anything'), forged), false)
    }
})

test('a verifier goes on verifying after more keys than it keeps', () => {
  const verifier = createVerifier('main')
  const signers = Array.from({ length: verifierKeys + 10 }, (_, index) => createSigner(sha256(utf8(`seed ${index}`)), 'main'))
  const first = signers[0] ?? assert.fail()
  const signature = first.sign('card', utf8('x'))
  for (const signer of signers) verifier.verify('card', signer.publicKey, utf8('x'), signature)
  assert.equal(verifier.verify('card', first.publicKey, utf8('x'), signature), true)
})

test('HMAC-SHA-256 and SHA-256 give the published values', () => {
  // RFC 4231 section 4.3; FIPS 180-4, "abc".
  assert.equal(
    toHex(hmacSha256(utf8('Jefe'), utf8('what do ya want for nothing?'))),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'
  )
  assert.equal(toHex(sha256(utf8('abc'))), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test('random bytes have the length that was asked for and differ', () => {
  assert.equal(systemRandom.bytes(0).length, 0)
  assert.notEqual(toHex(systemRandom.bytes(16)), toHex(systemRandom.bytes(16)))
})
