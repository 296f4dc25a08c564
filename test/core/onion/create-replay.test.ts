import assert from 'node:assert/strict'
import { test } from 'node:test'
import { after, type Millis, millis } from '../../../src/core/base/index.ts'
import { handshakeCells } from '../../../src/core/onion/cell.ts'
import {
  type Cell,
  cellCommands,
  createOnionCrypto,
  nobleCells,
  OnionKeys,
  RelayMachine,
  type RelayNeighbour
} from '../../../src/core/onion/index.ts'
import { onionKeyTimes } from '../../../src/core/onion/onion-keys.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const random = new SeededRandom(1)
const client: RelayNeighbour = { kind: 'client', prefix: '198.51.100.0/24' }
const elsewhere: RelayNeighbour = { kind: 'client', prefix: '203.0.113.0/24' }
const relay: RelayNeighbour = { kind: 'relay', publicKey: random.bytes(32) }

/** A relay with keys of its own, and neighbours that open circuits. */
class Relay {
  readonly publicKey = random.bytes(32)
  readonly keys: OnionKeys
  readonly machine: RelayMachine
  now: Millis = millis(1_000)
  #lastLink = 0

  constructor() {
    this.keys = new OnionKeys({ crypto: nodeHandshakeCrypto, now: this.now })
    const crypto = createOnionCrypto({ crypto: nodeHandshakeCrypto, cipher: nobleCells, keys: this.keys, publicKey: this.publicKey })
    this.machine = new RelayMachine({ crypto, random, publicKey: this.publicKey, relay: true, endpoint: true })
  }

  link(neighbour: RelayNeighbour): number {
    this.machine.handle({ type: 'link', link: ++this.#lastLink, opener: 'peer', neighbour }, this.now)
    return this.#lastLink
  }

  /** Sends a CREATE with this request, and gives the commands of the cells that answer it. */
  create(link: number, circuit: number, request: Uint8Array): readonly Cell['command'][] {
    const cells = handshakeCells(circuit, { command: cellCommands.create, bytes: request }, random)
    this.now = after(this.now, 100)
    this.machine.handle({ type: 'cells', link, cells }, this.now)
    return this.machine.take(link, 63, this.now).map(({ command }) => command)
  }

  request(): Uint8Array {
    const crypto = createOnionCrypto({ crypto: nodeHandshakeCrypto, cipher: nobleCells, keys: this.keys, publicKey: new Uint8Array(32) })
    return crypto.begin({ publicKey: this.publicKey, onionKey: this.keys.publicKey }, 3).request
  }
}

const taken = [cellCommands.created, cellCommands.created]
const refused = [cellCommands.destroy]

test('a CREATE that was there before is refused: on its link and on another, from a client and from a relay, while the circuit is there and afterwards', () => {
  const node = new Relay()
  const request = node.request()
  const link = node.link(client)
  assert.deepEqual(node.create(link, 1, request), taken)
  for (const neighbour of [client, elsewhere, relay]) assert.deepEqual(node.create(node.link(neighbour), 1, request), refused)
  assert.deepEqual(node.create(link, 2, request), refused)
  assert.equal(node.machine.counters.circuits, 1)
  node.machine.handle({ type: 'unlink', link }, node.now)
  assert.equal(node.machine.counters.circuits, 0)
  assert.deepEqual(node.create(node.link(client), 1, request), refused)
  assert.equal(node.machine.counters.refused, 5)
  assert.deepEqual(node.create(node.link(client), 1, node.request()), taken, 'a new one is taken')
})

test('it is refused after the onion key was replaced as well, as long as that is taken and when it is gone', () => {
  const node = new Relay()
  const [seen, fresh, late] = [node.request(), node.request(), node.request()]
  assert.deepEqual(node.create(node.link(client), 1, seen), taken)
  node.now = after(node.now, onionKeyTimes.rotateMs)
  assert.equal(node.keys.handle({ type: 'wake' }, node.now).length, 1)
  assert.deepEqual(node.create(node.link(client), 1, seen), refused)
  assert.deepEqual(node.create(node.link(client), 1, fresh), taken, 'the replaced key still answers those who have it')
  assert.deepEqual(node.create(node.link(client), 1, fresh), refused)
  node.now = after(node.now, onionKeyTimes.acceptMs)
  node.keys.handle({ type: 'wake' }, node.now)
  for (const request of [seen, fresh, late]) assert.deepEqual(node.create(node.link(client), 1, request), refused)
})

test('a CREATE for one relay is refused by another', () => {
  const [node, other] = [new Relay(), new Relay()]
  const request = node.request()
  assert.deepEqual(other.create(other.link(relay), 1, request), refused)
  assert.deepEqual(node.create(node.link(relay), 1, request), taken)
})
