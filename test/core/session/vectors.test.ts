import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type KemLevel, toHex, utf8 } from '../../../src/core/base/index.ts'
import { NoiseHandshake, hybridSuite } from '../../../src/core/noise/index.ts'
import type { CreateHandshake } from '../../../src/core/session/index.ts'
import { seededCrypto } from './seeded-crypto.ts'
import { End, aliceOptions, bobOptions, levels, settle } from './support.ts'

const file = new URL('../../vectors/session-v1.json', import.meta.url)

interface Vector {
  readonly level: KemLevel
  readonly initiator: readonly string[]
  readonly responder: readonly string[]
  readonly exported: string
  readonly words: string
}

/** A session whose every byte follows from the seeds 'initiator' and 'responder': handshake, words, one message each way, a rekey, one more, the end. */
function transcript(level: KemLevel): Vector {
  const side = (seed: string): { readonly crypto: ReturnType<typeof seededCrypto>; readonly createHandshake: CreateHandshake } => {
    const crypto = seededCrypto(seed)
    const staticKey = crypto.generateDh()
    return {
      crypto,
      createHandshake: ({ suite, role, prologue, ephemeral }) =>
        new NoiseHandshake({ suite: hybridSuite(suite.level), role, crypto, staticKey, prologue, ephemeral })
    }
  }
  const alice = new End(aliceOptions({ level, ...side('initiator') })).start()
  const bob = new End(bobOptions(side('responder'))).start()
  settle(alice, bob)
  alice.say('ping')
  settle(alice, bob)
  bob.say('pong')
  settle(alice, bob)
  alice.input({ type: 'rekey' })
  settle(alice, bob)
  alice.say('after')
  settle(alice, bob)
  const exported = toHex(alice.machine.exportSecret('vector', utf8('context'), 32))
  alice.input({ type: 'end' })
  settle(alice, bob)
  assert.deepEqual([bob.heard, alice.heard], [['ping', 'after'], ['pong']])
  return { level, initiator: alice.sent.map(toHex), responder: bob.sent.map(toHex), exported, words: (bob.words ?? []).join(' ') }
}

// WRITE_VECTORS=1 writes the file anew, which is a change of the wire format.
if (process.env['WRITE_VECTORS'] === '1') writeFileSync(file, `${JSON.stringify(levels.map(transcript), null, 2)}\n`)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[]

for (const vector of vectors) {
  test(`the session of level ${vector.level} from known seeds is the recorded one to the byte`, () => {
    assert.deepEqual(transcript(vector.level), vector)
  })
}
