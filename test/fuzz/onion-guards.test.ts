import { Guards } from '../../src/core/onion/guards.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { members, wallStart } from '../core/onion/path-support.ts'
import { fuzzDecoder } from './fuzz.ts'

/** What was saved after some guards were sampled, one of which fails. */
function saved(relays: number): Uint8Array {
  const guards = new Guards({ random: new SeededRandom(relays) })
  const list = members(relays)
  guards.usable({ relays: list, listed: new Set(list.map(({ peerId }) => peerId)), trust: new Set() }, wallStart)
  guards.failed(guards.all[0]?.peerId ?? '', wallStart, true)
  return guards.encode()
}

fuzzDecoder({
  name: 'saved guards of onion circuits',
  decode: (bytes) => new Guards({ random: new SeededRandom(1), saved: bytes }),
  valid: [saved(0), saved(1), saved(12)],
  encode: (value) => (value instanceof Guards ? value.encode() : new Uint8Array(0))
})
