import { createHash } from 'node:crypto'
import { MeshError, type Random, toHex } from '../../../src/core/base/index.ts'
import { nobleCells } from '../../../src/core/onion/cell-cipher.ts'
import { cellSizes, type LayerKeys, type OnionCrypto } from '../../../src/core/onion/types.ts'

/** SHA-256. */
export const digest = (...parts: readonly (Uint8Array | string)[]): Uint8Array => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

function keysOf(seed: Uint8Array): LayerKeys {
  const part = (label: string): Uint8Array => digest(seed, label)
  const direction = (name: string): LayerKeys['forward'] => ({
    keys: new Uint8Array(Buffer.concat(['1', '2', '3', '4'].map((n) => part(name + n)))),
    chain: part(`${name}c`)
  })
  return { forward: direction('f'), backward: direction('b'), binding: part('binding') }
}

/** A handshake that costs nothing: floods of it take no time. The request names its relay, and is taken once. Real ones have tests of their own. */
export function cheapCrypto(publicKey: Uint8Array, random: Random): OnionCrypto {
  const seen = new Set<string>()
  const failed = (reason: string): MeshError => new MeshError('CIRCUIT_HANDSHAKE_FAILED', { reason })
  return {
    cipher: nobleCells,
    begin: (target) => {
      const request = new Uint8Array(cellSizes.create)
      request.set(random.bytes(32))
      request.set(target.publicKey, 32)
      const seed = digest('seed', request)
      return {
        request,
        finish: (reply) => {
          if (toHex(reply.subarray(0, 32)) !== toHex(digest(seed, 'reply'))) throw failed('another reply')
          return keysOf(seed)
        },
        abandon: () => undefined
      }
    },
    answer: (request) => {
      const name = toHex(request.subarray(0, 32))
      if (toHex(request.subarray(32, 64)) !== toHex(publicKey)) throw failed('another key')
      if (seen.has(name)) throw failed('seen before')
      seen.add(name)
      const seed = digest('seed', request)
      const reply = new Uint8Array(cellSizes.created)
      reply.set(digest(seed, 'reply'))
      return { reply, keys: keysOf(seed), level: 3 }
    }
  }
}
