import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, isMeshError, toHex, utf8 } from '../../src/core/base/index.ts'
import { type Kem, type Signer, kem, kemBackends, signer, signerBackends, signerNames } from '../../src/crypto/public.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { noise } from '../fuzz/fuzz.ts'
import { kemLevels } from './support.ts'

const seed = Number(process.env['SEED'] ?? 1)
const runs = Number(process.env['FUZZ_RUNS'] ?? 10_000)
const maxMsOfInput = 2_000

/** What takes bytes from outside: it answers, or refuses with one of `codes`. */
interface Import {
  readonly name: string
  readonly valid: readonly Uint8Array[]
  readonly codes: readonly ErrorCode[]
  readonly take: (bytes: Uint8Array) => Promise<unknown>
}

async function kemImports(port: Kem): Promise<readonly Import[]> {
  const { publicKey, privateKey } = await port.generateKeyPair()
  const { ciphertext } = await port.encapsulate(publicKey)
  const expanded = port.abilities.expansion ? await port.expandPrivateKey(privateKey) : privateKey
  const name = `${port.name} by ${port.backend}`
  const codes = ['KEY_INVALID', 'BACKEND_UNSUPPORTED'] as const
  return [
    { name: `${name}, encapsulation key`, valid: [publicKey], codes, take: (bytes) => port.encapsulate(bytes) },
    { name: `${name}, check`, valid: [publicKey], codes, take: (bytes) => port.checkPublicKey(bytes) },
    { name: `${name}, private key`, valid: [privateKey, expanded], codes, take: (bytes) => port.decapsulate(ciphertext, bytes) },
    { name: `${name}, ciphertext`, valid: [ciphertext], codes: ['MESSAGE_MALFORMED'], take: (bytes) => port.decapsulate(bytes, privateKey) }
  ]
}

async function signerImports(port: Signer): Promise<readonly Import[]> {
  const { publicKey, privateKey } = await port.generateKeyPair()
  const message = utf8('what is signed')
  const signature = await port.sign(message, privateKey)
  const expanded = port.abilities.expansion ? await port.expandPrivateKey(privateKey) : privateKey
  const name = `${port.name} by ${port.backend}`
  const codes = ['KEY_INVALID', 'BACKEND_UNSUPPORTED'] as const
  return [
    { name: `${name}, public key`, valid: [publicKey], codes: [], take: (bytes) => port.verify({ publicKey: bytes, message, signature }) },
    { name: `${name}, check`, valid: [publicKey], codes, take: (bytes) => port.checkPublicKey(bytes) },
    { name: `${name}, signature`, valid: [signature], codes: [], take: (bytes) => port.verify({ publicKey, message, signature: bytes }) },
    { name: `${name}, private key`, valid: [privateKey, expanded], codes, take: (bytes) => port.sign(message, bytes) }
  ]
}

/** Most noise has another length, and is refused by that: half of it is put to the right one. */
function fitted(bytes: Uint8Array, valid: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  if (random.chance(0.5)) return bytes
  const model = random.pick(valid)
  const whole = Uint8Array.from(model)
  whole.set(bytes.subarray(0, model.length))
  return whole
}

async function feed({ name, valid, codes, take }: Import, inputs: number, random: SeededRandom): Promise<void> {
  for (let run = 0; run < inputs; run++) {
    const bytes = fitted(noise(valid, random), valid, random)
    const where = (): string => `${name} (seed ${seed}), input ${toHex(bytes)}`
    const startedAt = performance.now()
    try {
      await take(bytes)
    } catch (error) {
      assert.ok(isMeshError(error) && codes.includes(error.code), `${where()}: ${error instanceof Error ? error.stack : String(error)}`)
    }
    assert.ok(performance.now() - startedAt < maxMsOfInput, `${where()} took too long`)
  }
}

for (const backend of kemBackends) {
  test(`ML-KEM by ${backend} answers noise with its own errors`, async () => {
    const imports = (await Promise.all(kemLevels.map((level) => kemImports(kem(level, backend))))).flat()
    for (const each of imports) await feed(each, Math.ceil(runs / 4 / imports.length), new SeededRandom(seed))
  })
}

for (const backend of signerBackends) {
  test(`signatures by ${backend} answer noise with their own errors`, async () => {
    const names = signerNames.filter((name) => name !== 'ed25519' || backend !== 'liboqs')
    const imports = (await Promise.all(names.map((name) => signerImports(signer(name, backend))))).flat()
    for (const each of imports) await feed(each, Math.ceil(runs / 4 / imports.length), new SeededRandom(seed))
  })
}
