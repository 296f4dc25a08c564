import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromHex, toHex } from '../../../src/core/base/index.ts'
import { type HandshakeRole, NoiseHandshake, noiseSuites } from '../../../src/core/noise/index.ts'
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
