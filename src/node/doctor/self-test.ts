import { hkdfSync } from 'node:crypto'
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { equalBytes, fromHex, toHex, utf8 } from '../../core/base/index.ts'
import { ed25519FromSeed, sha256, verifyRaw } from '../../crypto/index.ts'
import { kem } from '../../crypto/kem/kem.ts'
import { argon2id } from '../../crypto/sealed-file.ts'
import { signer } from '../../crypto/signer/signer.ts'
import { type Check, fail, ok } from './check.ts'

interface KnownAnswer {
  readonly name: string
  /** Where the vector was published. */
  readonly source: string
  readonly run: () => boolean | Promise<boolean>
}

const digestIs = (bytes: Uint8Array, digest: string): boolean => toHex(sha256(bytes)) === digest

/** Every primitive that this node rests on, with an answer that others published. */
export const knownAnswers: readonly KnownAnswer[] = [
  {
    name: 'SHA-256',
    source: 'FIPS 180-4, "abc"',
    run: () => digestIs(utf8('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  },
  { name: 'Ed25519', source: 'RFC 8032 section 7.1, test 2', run: ed25519Answer },
  {
    name: 'HKDF-SHA-256',
    source: 'RFC 5869 appendix A.1',
    run: () =>
      toHex(
        new Uint8Array(hkdfSync('sha256', new Uint8Array(22).fill(0x0b), fromHex('000102030405060708090a0b0c'), fromHex('f0f1f2f3f4f5f6f7f8f9'), 42))
      ) === '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'
  },
  { name: 'ChaCha20-Poly1305', source: 'RFC 8439 section 2.8.2', run: chachaAnswer },
  { name: 'XChaCha20-Poly1305', source: 'draft-irtf-cfrg-xchacha-03 appendix A.3.1', run: xchachaAnswer },
  { name: 'ML-KEM-768', source: 'NIST ACVP ML-KEM-keyGen-FIPS203, test 26', run: kemAnswer },
  { name: 'ML-DSA-65', source: 'NIST ACVP ML-DSA-keyGen-FIPS204, test 26', run: dsaAnswer },
  { name: 'Argon2id', source: 'RFC 9106 section 5.3', run: argonAnswer }
]

/** Computes them all. */
export async function selfTest(answers: readonly KnownAnswer[] = knownAnswers): Promise<Check> {
  const wrong: string[] = []
  for (const { name, source, run } of answers) if (!(await holds(run))) wrong.push(`${name} (${source})`)
  if (wrong.length === 0) return ok('self-test', `${answers.length} cryptographic algorithms give their published answers`)
  return fail(
    'self-test',
    `Wrong answers: ${wrong.join(', ')}`,
    'Do not use this machine or this Node.js for anything secret. Install Node.js anew, and test the memory.'
  )
}

async function holds(run: KnownAnswer['run']): Promise<boolean> {
  try {
    return await run()
  } catch {
    return false
  }
}

function ed25519Answer(): boolean {
  const key = ed25519FromSeed(fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'))
  const message = Uint8Array.of(0x72)
  const signature = fromHex(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
  )
  const isKey = toHex(key.publicKey) === '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
  return (
    isKey &&
    equalBytes(key.signRaw(message), signature) &&
    verifyRaw(key.publicKey, message, signature) &&
    !verifyRaw(key.publicKey, utf8('x'), signature)
  )
}

const sunscreen = utf8("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
const associated = fromHex('50515253c0c1c2c3c4c5c6c7')
const aeadKey = fromHex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f')

function chachaAnswer(): boolean {
  const sealed = chacha20poly1305(aeadKey, fromHex('070000004041424344454647'), associated).encrypt(sunscreen)
  return toHex(sealed.subarray(-16)) === '1ae10b594f09e26a7e902ecbd0600691'
}

function xchachaAnswer(): boolean {
  const sealed = xchacha20poly1305(aeadKey, fromHex('404142434445464748494a4b4c4d4e4f5051525354555657'), associated).encrypt(sunscreen)
  return toHex(sealed.subarray(-16)) === 'c0875924c1c7987947deafd8780acf49'
}

/** The key of NIST's vector; then what one implementation encapsulates the other one decapsulates, and a changed ciphertext gives another secret. */
async function kemAnswer(): Promise<boolean> {
  const seed = fromHex(
    'e582b7d75e6c80b05ae392a1fc9f7153b12390fd99930368cc67a768baebc8a01cdacb8740c0b87c4a379575f187b367cbfa3b300bf591b109f79816e9cbe8f0'
  )
  const [node, noble] = [kem(3, 'node'), kem(3, 'noble')]
  const { publicKey } = await node.generateKeyPair(seed)
  const { ciphertext, sharedSecret } = await noble.encapsulate(publicKey, sha256(utf8('m')))
  const opened = await node.decapsulate(ciphertext, seed)
  const changed = ciphertext.with(0, (ciphertext[0] ?? 0) ^ 1)
  const isKey = digestIs(publicKey, '4158f6afb5e516c99f1da07da8c651348422b17c1f4e9a08ad73fb1f91249b3e')
  return isKey && equalBytes(opened, sharedSecret) && !equalBytes(await node.decapsulate(changed, seed), sharedSecret)
}

async function dsaAnswer(): Promise<boolean> {
  const port = signer('ml-dsa-65')
  const { publicKey, privateKey } = await port.generateKeyPair(fromHex('a991fd42b071d49c48ae3e75c647459e0daad1e1ba356a04801912d3294bcff8'))
  const message = utf8('message')
  const signature = await port.sign(message, privateKey)
  const isKey = digestIs(publicKey, 'b1a7d0d2f0d7a04b9d5ffccd9bd578864dab4a01cdd7f70a05cd1f4f0672e43a')
  return isKey && (await port.verify({ publicKey, message, signature })) && !(await port.verify({ publicKey, message: utf8('massage'), signature }))
}

async function argonAnswer(): Promise<boolean> {
  const fill = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value)
  const input = { message: fill(32, 1), nonce: fill(16, 2), secret: fill(8, 3), associatedData: fill(12, 4) }
  const tag = await argon2id({ ...input, cost: { memoryKiB: 32, passes: 3, lanes: 4 }, bytes: 32 })
  return toHex(tag) === '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659'
}
