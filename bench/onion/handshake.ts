import { type KemLevel, millis } from '../../src/core/base/index.ts'
import { type NtorHashes, type OnionCrypto, OnionKeys, createOnionCrypto, nobleCells, nobleNtorHashes } from '../../src/core/onion/index.ts'
import { nodeHandshakeCrypto as crypto, nodeNtorHashes } from '../../src/crypto/index.ts'
import type { Floor } from '../verdict.ts'
import { type Section, cpuSeconds, median } from './section.ts'

const levels: readonly KemLevel[] = [1, 3, 5]
/** Of one turn: some 15 ms. */
const handshakesOfTurn = 20
const contestants = { node: nodeNtorHashes, noble: nobleNtorHashes } as const satisfies Readonly<Record<string, NtorHashes>>
type Contestant = keyof typeof contestants
const names: readonly Contestant[] = ['node', 'noble']

interface Cost {
  readonly clientMs: number
  readonly relayMs: number
}

/** CPU milliseconds of one handshake on either side. */
function cost(hashes: NtorHashes, level: KemLevel): Cost {
  const publicKey = crypto.randomBytes(32)
  const keys = new OnionKeys({ crypto, now: millis(0) })
  const onion: OnionCrypto = createOnionCrypto({ crypto, cipher: nobleCells, keys, publicKey, hashes })
  const begin = () => Array.from({ length: handshakesOfTurn }, () => onion.begin({ publicKey, onionKey: keys.publicKey }, level))
  let begun: ReturnType<typeof begin> = []
  let replies: readonly Uint8Array[] = []
  const begins = cpuSeconds(() => void (begun = begin()))
  const answers = cpuSeconds(() => void (replies = begun.map(({ request }) => onion.answer(request).reply)))
  const ends = cpuSeconds(() => {
    for (const [index, handshake] of begun.entries()) handshake.finish(replies[index] ?? new Uint8Array())
  })
  return { clientMs: ((begins + ends) * 1_000) / handshakesOfTurn, relayMs: (answers * 1_000) / handshakesOfTurn }
}

/** What CREATE costs a relay and its client at each level, with OpenSSL's hashes and with noble's. */
export const handshake: Section = {
  name: 'handshake',
  run: async (rounds) => {
    const found: { readonly name: Contestant; readonly level: KemLevel; readonly of: Cost }[] = []
    for (let round = -2; round < rounds; round++)
      for (const level of levels)
        for (const name of names) {
          const of = cost(contestants[name], level)
          if (round >= 0) found.push({ name, level, of })
        }
    const middle = (name: Contestant, level: KemLevel, side: keyof Cost): number =>
      median(found.filter((each) => each.name === name && each.level === level).map(({ of }) => of[side]))
    process.stdout.write(`One handshake, medians of ${rounds} rounds\n`)
    for (const name of names)
      for (const level of levels) {
        const [client, relay] = [middle(name, level, 'clientMs'), middle(name, level, 'relayMs')]
        process.stdout.write(`  level ${level}, hashes of ${name.padEnd(6)} client ${client.toFixed(2)} ms  relay ${relay.toFixed(2)} ms\n`)
      }
    const floor: Floor = {
      name: 'handshakes of a relay, level 3',
      value: 1_000 / middle('node', 3, 'relayMs'),
      unit: 'a second a core',
      atLeast: 1_000,
      reference: { name: 'noble’s hashes', value: 1_000 / middle('noble', 3, 'relayMs'), ratioAtLeast: 1.2 }
    }
    return await Promise.resolve([floor])
  }
}
