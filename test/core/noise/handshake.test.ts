import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromHex, isMeshError, toHex, utf8 } from '../../../src/core/base/index.ts'
import { type HandshakeRole, NoiseHandshake, noiseSuites } from '../../../src/core/noise/index.ts'
import { nodeHandshakeCrypto as crypto } from '../../../src/crypto/index.ts'
import { dhOf, fixedCrypto } from './fixed-crypto.ts'

interface KnownAnswer {
  readonly protocol: string
  readonly static_i_private: string
  readonly static_r_private: string
  readonly ephemeral_dh_i_private: string
  readonly ephemeral_dh_r_private: string
  readonly kem_keygen_seed: string
  readonly kem_encap_seed: string
  readonly msg_a_bytes: number
  readonly msg_b_bytes: number
  readonly msg_c: string
  readonly handshake_hash: string
  readonly cs1_k: string
  readonly cs2_k: string
}

const none = new Uint8Array(0)
const page = readFileSync(join(import.meta.dirname, '../../../docs/wire/noise.md'), 'utf8')
const { vectors }: { readonly vectors: readonly KnownAnswer[] } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../vectors/noise-xxhfs-mlkem768.json'), 'utf8')
)

test('the published answer of XXhfs with ML-KEM-768 comes out to the byte', () => {
  assert.ok(vectors.length > 0)
  for (const vector of vectors) {
    const side = (role: HandshakeRole): NoiseHandshake => {
      const [own, ephemeral] =
        role === 'initiator' ? [vector.static_i_private, vector.ephemeral_dh_i_private] : [vector.static_r_private, vector.ephemeral_dh_r_private]
      const keys = { ephemeral: fromHex(ephemeral), kemSeed: fromHex(vector.kem_keygen_seed), encapsulation: fromHex(vector.kem_encap_seed) }
      assert.equal(noiseSuites.hybrid3.name, vector.protocol)
      return new NoiseHandshake({ suite: noiseSuites.hybrid3, role, crypto: fixedCrypto(keys), staticKey: dhOf(fromHex(own)) })
    }
    const [initiator, responder] = [side('initiator'), side('responder')]
    const a = initiator.writeMessage(none)
    responder.readMessage(a)
    const b = responder.writeMessage(none)
    initiator.readMessage(b)
    const c = initiator.writeMessage(none)
    responder.readMessage(c)
    assert.deepEqual([a.length, b.length, toHex(c)], [vector.msg_a_bytes, vector.msg_b_bytes, vector.msg_c])
    for (const each of [initiator, responder]) assert.equal(toHex(each.hash), vector.handshake_hash)
    const keys = initiator.split()
    assert.deepEqual([toHex(keys.send), toHex(keys.receive)], [vector.cs1_k, vector.cs2_k])
    assert.deepEqual([responder.split().receive, responder.split().send], [keys.send, keys.receive])
  }
})

for (const suite of Object.values(noiseSuites)) {
  test(`${suite.protocol} runs to its end with payloads in every message, and has the sizes that docs/wire/noise.md states`, () => {
    const side = (role: HandshakeRole): NoiseHandshake => new NoiseHandshake({ suite, role, crypto, staticKey: crypto.generateDh() })
    const [initiator, responder] = [side('initiator'), side('responder')]
    const sizes: number[] = []
    for (const [from, to, text] of [
      [initiator, responder, 'one'] as const,
      [responder, initiator, 'two'] as const,
      [initiator, responder, 'three'] as const
    ]) {
      sizes.push(from.nextMessageBytes)
      assert.equal(to.nextMessageBytes, from.nextMessageBytes)
      const message = from.writeMessage(utf8(text))
      assert.equal(message.length, (sizes.at(-1) ?? 0) + text.length)
      assert.deepEqual([...to.readMessage(message).payload], [...utf8(text)])
    }
    assert.ok(initiator.isComplete && responder.isComplete)
    assert.deepEqual(initiator.hash, responder.hash)
    const chainingKey = initiator.chainingKey
    assert.deepEqual(chainingKey, responder.chainingKey)
    assert.deepEqual(initiator.split().send, responder.split().receive)
    const row = page.split('\n').find((line) => line.startsWith(`| \`${suite.protocol}\``)) ?? ''
    const stated = row
      .split('|')
      .slice(4, 7)
      .map((cell) => Number(cell.replace(',', '')))
    assert.deepEqual(stated, sizes)
    // What was handed out is the caller's own, whatever is wiped.
    initiator.wipe()
    assert.deepEqual(chainingKey, responder.chainingKey)
  })
}

test('out of turn, after a failure and before the end there is nothing to be had', () => {
  const suite = noiseSuites.hybrid3
  const side = (role: HandshakeRole): NoiseHandshake => new NoiseHandshake({ suite, role, crypto, staticKey: crypto.generateDh() })
  const refused = (work: () => unknown, reason: string): void =>
    assert.throws(work, (error) => isMeshError(error, 'HANDSHAKE_FAILED') && error.details['reason'] === reason)
  const [initiator, responder] = [side('initiator'), side('responder')]
  refused(() => responder.writeMessage(none), 'order')
  refused(() => initiator.readMessage(none), 'order')
  refused(() => initiator.split(), 'order')
  refused(() => initiator.chainingKey, 'order')
  refused(() => responder.readMessage(new Uint8Array(1_215)), 'length')
  refused(() => responder.readMessage(initiator.writeMessage(none)), 'order')
})
