import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KemLevel, millis, type Random } from '../../../src/core/base/index.ts'
import { cellCommands, createOnionCrypto, encodeCells, maxRelayEarly, OnionKeys } from '../../../src/core/onion/index.ts'
import { cellCipher } from '../../../src/crypto/cell/index.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { RelayChain } from './relay-chain.ts'
import { gameWorld } from './tagging-games.ts'

const { cipher } = await cellCipher()
/** The most relays for which nothing of what relays count tells how many there are. */
const usualRelays = 6

/** The first number that is drawn is the one that is wanted: how many cells are RELAY_EARLY without need. */
class Drawn implements Random {
  readonly #random = new SeededRandom(1)
  #first: number | undefined

  constructor(first: number) {
    this.#first = first
  }

  bytes(length: number): Uint8Array {
    const bytes = this.#random.bytes(length)
    if (this.#first !== undefined && length === 4) {
      new DataView(bytes.buffer).setUint32(0, this.#first)
      this.#first = undefined
    }
    return bytes
  }
}

/** A circuit with real handshakes; members have real keys. */
function realChain(relays: number, random: Random): RelayChain {
  const made = Array.from({ length: relays + 2 }, () => {
    const publicKey = nodeHandshakeCrypto.randomBytes(32)
    const keys = new OnionKeys({ crypto: nodeHandshakeCrypto, now: millis(0) })
    return {
      target: { publicKey, onionKey: keys.publicKey },
      crypto: createOnionCrypto({ crypto: nodeHandshakeCrypto, cipher, keys, publicKey })
    }
  })
  const [client, ...members] = made
  return new RelayChain({ members, client: client?.crypto ?? assert.fail(), random })
}

/** What each relay sees while a circuit is built and used: for each cell the side, the way, the command and the size, in order. The first relay is number 0. */
function sights({
  relays,
  level = 3,
  blurred = 2
}: {
  readonly relays: number
  readonly level?: KemLevel
  readonly blurred?: number
}): readonly (readonly string[])[] {
  const chain = realChain(relays, new Drawn(blurred))
  const seen = Array.from({ length: relays + 1 }, (): string[] => [])
  chain.meddle = (cell, { link, way }) => {
    const what = `${way} ${cell.command} ${encodeCells([cell]).length}`
    seen[link]?.push(`before ${what}`)
    seen[link - 1]?.push(`behind ${what}`)
    return [cell]
  }
  assert.ok(chain.build(level))
  chain.write('forward', new Uint8Array(5_000).fill(level))
  chain.settle()
  chain.write('backward', new Uint8Array(40_000).fill(level))
  chain.settle()
  chain.input({ type: 'ping' })
  chain.settle()
  chain.input({ type: 'close' })
  chain.settle()
  assert.equal(chain.circuits, 0)
  return seen.slice(0, relays)
}

test('at levels 1, 3 and 5 of ML-KEM every relay sees the same cells: number, direction, command, size, order', () => {
  for (let relays = 1; relays <= 5; relays++) {
    const [low, middle, high] = ([1, 3, 5] as const).map((level) => sights({ relays, level }))
    assert.deepEqual(middle, low)
    assert.deepEqual(high, low)
  }
})

test('a relay counts how many hops follow it, and nothing that tells how many are before it', () => {
  const byFollowing = new Map<number, readonly string[]>()
  for (let relays = 1; relays <= usualRelays; relays++)
    for (const [position, seen] of sights({ relays }).entries()) {
      const following = relays - position
      assert.deepEqual(
        seen,
        byFollowing.get(following) ?? seen,
        `relay ${position + 1} of ${relays} sees what every relay before ${following} hops does`
      )
      byFollowing.set(following, seen)
    }
  // This is what docs/wire/onion.md admits.
  assert.equal(new Set([...byFollowing.values()].map((seen) => seen.join())).size, usualRelays)
})

/** RELAY_EARLY cells that the first relay gets beyond those that carry EXTENDs. */
function blurredCells(relays: number, seed: number): number {
  let early = 0
  const { chain } = gameWorld(cipher, relays, {
    random: new SeededRandom(seed),
    watch: (cell, { link, way }) => {
      if (link === 0 && way === 'forward' && cell.command === cellCommands.relayEarly) early++
    }
  })
  chain.write('forward', new Uint8Array(20_000))
  chain.settle()
  assert.ok(early <= maxRelayEarly)
  return early - 2 * relays
}

test('how many cells are RELAY_EARLY without need does not hang on the length of the circuit', () => {
  const counts = new Set<number>()
  for (let seed = 1; seed <= 40; seed++) {
    const [first = 0, ...others] = Array.from({ length: usualRelays }, (_, index) => blurredCells(index + 1, seed))
    for (const [index, count] of others.entries()) assert.equal(count, first, `with ${index + 2} relays`)
    counts.add(first)
  }
  assert.deepEqual(
    [...counts].toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4]
  )
})
